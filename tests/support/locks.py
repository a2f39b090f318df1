"""File systems without file locks, as Lustre and NFS may be."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


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
