"""A key of one's own: made once, private, and what it knows again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_digits.core import signing


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_the_key_is_made_once_and_for_its_owner_alone(config: Path) -> None:
    signature = signing.sign(b"mine")
    key = config / "kaggle-digits" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32
    assert [path.name for path in key.parent.iterdir()] == ["key"]
    signing._key.cache_clear()  # as another process reads it
    assert signing.made_here(b"mine", signature)
    assert not signing.made_here(b"theirs", signature)


@pytest.mark.parametrize("signature", [None, "", "0" * 64, "\udcff", 7, b"x"])
def test_nobody_elses_signature_counts(config: Path, signature: object) -> None:
    assert not signing.made_here(b"mine", signature)


def test_another_person_signs_otherwise(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = signing.sign(b"mine")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    assert not signing.made_here(b"mine", signature)


def test_a_key_cut_short_is_made_anew(config: Path) -> None:
    (config / "kaggle-digits").mkdir(parents=True)
    (config / "kaggle-digits" / "key").write_bytes(b"short")
    assert signing.made_here(b"mine", signing.sign(b"mine"))
    assert len((config / "kaggle-digits" / "key").read_bytes()) == 32


def test_without_a_place_for_the_key_a_process_knows_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert signing.made_here(b"mine", signing.sign(b"mine"))


def test_processes_that_begin_at_once_have_one_key(config: Path) -> None:
    code = "from kaggle_digits import trust; print(signing.sign(b'x'))"
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    assert len({process.communicate()[0] for process in running}) == 1


def test_json_is_known_however_it_is_laid_out(config: Path) -> None:
    signature = signing.sign_json({"a": (1, 2), "b": 0.1})
    assert signing.json_made_here({"b": 0.1, "a": [1, 2]}, signature)
    assert not signing.json_made_here({"b": 0.1, "a": [1, 3]}, signature)


@pytest.mark.parametrize(("value", "trusted"), [("1", True), ("", False), ("0", False)])
def test_trusting_is_said_by_a_variable(
    value: str, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing.VARIABLE, value)
    assert signing.trusting() is trusted
