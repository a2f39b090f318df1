"""The script that is sent to Kaggle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_notebooks import script
from kaggle_digits.kaggle_notebooks.entry_point import unpack
from kaggle_digits.kaggle_notebooks.script import (
    PACKAGE,
    JobSpec,
    is_packed,
    make_script,
    pack_source,
)

SPEC = JobSpec("ab12", "far", "linear", None, ("--folds", "2"), gpu=False, internet=False, hours=1)


def test_credentials_are_not_packed() -> None:
    assert is_packed(Path("kaggle_notebooks", "script.py"))
    for name in ("kaggle.json", "credentials.json", ".kaggle/a.json", "__pycache__/a.py"):
        assert not is_packed(Path("kaggle_notebooks", name))


def test_same_job_gives_the_same_script_without_local_paths() -> None:
    first = make_script(SPEC)
    pack_source.cache_clear()
    assert make_script(SPEC) == first
    assert len(first.encode()) < script.MAX_BYTES / 2
    assert str(Path.home()) not in first
    assert str(PACKAGE) not in first
    compile(first, "script.py", "exec")


def test_whole_package_is_packed(tmp_path: Path) -> None:
    unpack(*pack_source(), tmp_path)
    here = {
        path.relative_to(PACKAGE).as_posix(): path.read_bytes()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    unpacked = {
        path.relative_to(tmp_path / "kaggle_digits").as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert unpacked == here


def test_script_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "MAX_BYTES", 1000)
    with pytest.raises(KaggleError, match=r"bytes and Kaggle accepts 1,000"):
        make_script(SPEC)


def test_recipe_text_with_quotes_survives() -> None:
    text = '{"name": "it\'s \\"quoted\\" \\\\ and \\n é"}'
    spec = JobSpec("ab", "far", "mine.json", text, (), gpu=False, internet=False, hours=1)
    source = make_script(spec).rpartition("if __name__")[0]
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(source, "script.py", "exec"), names)
    assert json.loads(names["SETTINGS"])["recipe_text"] == text
