from __future__ import annotations

import platform
import subprocess
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from kaggle_digits.core import environment
from kaggle_digits.core.environment import check_clock, git_commit, is_installed, versions
from kaggle_digits.core.errors import StorageError


def test_versions_name_every_package() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] != "missing"
    assert is_installed("numpy")
    assert not is_installed("no-such-package")


@pytest.mark.parametrize(
    ("year", "usable"), [(1970, False), (1980, True), (2107, True), (2108, False)]
)
def test_clock_that_model_files_cannot_hold(
    monkeypatch: pytest.MonkeyPatch, year: int, usable: bool
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(year, 1, 2, tzinfo=tz)

    monkeypatch.setattr(environment, "datetime", Clock)
    if usable:
        check_clock()
    else:
        with pytest.raises(StorageError, match=f"shows {year}-01-02.*set the clock"):
            check_clock()


def test_git_commit_is_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "kaggle_digits" / "core" / "environment.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(environment, "__file__", str(module))
    assert git_commit() is None
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    commit = git_commit()
    assert commit is not None
    assert len(commit) == 12
