"""Fixtures that mount a small disk, or a folder read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SmallDisk = Callable[[int], Path]
ReadOnly = Callable[[Path], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A function that mounts a file system of that many kB; skips if mounting is not allowed."""
    mounted: list[Path] = []

    def mount(kilobytes: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if os.name != "posix" or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a tmpfs needs root on Linux")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        # Lazily, because SQLite may still have a file open on it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def read_only() -> Iterator[ReadOnly]:
    """A function that makes a folder read-only, also for root; skips if that is not allowed."""
    mounted: list[Path] = []

    def mount(folder: Path) -> Path:
        bind = ["mount", "--bind", str(folder), str(folder)]
        if os.name != "posix" or subprocess.run(bind, capture_output=True).returncode:
            pytest.skip("mounting a folder read-only needs root on Linux")
        mounted.append(folder)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
