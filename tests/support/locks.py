"""File systems without file locks, as Lustre and NFS may be."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
LOCKED = """
import sys; from pathlib import Path
from kaggle_digits.core.atomic_io import file_lock
from kaggle_digits.core.errors import RunError
from tests.support.locks import without_locks_now
if sys.argv[2]:
    without_locks_now(int(sys.argv[2]))
with file_lock(Path(sys.argv[1]), RunError("busy")):
    print("locked", flush=True)
    sys.stdin.read()
"""


def without_locks_now(code: int) -> None:
    """Make flock fail with ``code`` in this process."""

    def flock(*_: Any) -> NoReturn:
        raise OSError(code, "flock")

    fcntl.flock = flock


@pytest.fixture
def without_locks(request: pytest.FixtureRequest) -> Iterator[int]:
    """Make flock fail with the code that is the parameter, by default ENOLCK."""
    flock = fcntl.flock
    code = getattr(request, "param", errno.ENOLCK)
    without_locks_now(code)
    yield code
    fcntl.flock = flock


def hold(path: Path, code: int | str) -> subprocess.Popen[str]:
    """Start a process that holds the lock until it is killed; ``code`` is that of its locks."""
    command = [sys.executable, "-W", "error", "-c", LOCKED, str(path), str(code)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
    assert process.stdout.readline() == "locked\n"
    return process  # type: ignore[no-any-return]
