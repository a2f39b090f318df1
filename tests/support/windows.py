"""Windows' rule for open files, on any system."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.runs import run


@pytest.fixture
def windows_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to rename or delete what this process has open, and to rename a folder of it."""
    if not Path("/proc/self/fd").is_dir() and sys.platform != "win32":
        pytest.skip("needs the list of open files")
    monkeypatch.setattr(run, "LOCK_IS_INSIDE", False)
    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(os, name, _refusing_open_files(getattr(os, name)))


def _refusing_open_files(change: Callable[..., None]) -> Callable[..., None]:
    def checked(source: Any, *args: Any, **options: Any) -> None:
        for descriptor in Path("/proc/self/fd").glob("*"):
            if Path(os.path.realpath(descriptor)).is_relative_to(os.path.realpath(source)):
                raise PermissionError(13, "in use by this process", str(source))
        change(source, *args, **options)

    return checked
