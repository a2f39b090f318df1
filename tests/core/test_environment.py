from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from kaggle_digits.core import environment
from kaggle_digits.core.environment import git_commit, is_installed, versions


def test_versions_name_every_package() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] != "missing"
    assert is_installed("numpy")
    assert not is_installed("no-such-package")


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
