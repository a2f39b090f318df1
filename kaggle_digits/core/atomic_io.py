"""Write files atomically: a reader sees the old file or the complete new one."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import StorageError

TEMPORARY_FILE_MAX_AGE = 3600.0  # seconds
# numpy's messages for a write that the full disk cut short; these errors have no errno.
NUMPY_WRITE_ERRORS = ("requested and", "problem writing element")


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    Its folder is created. A killed process leaves at most a hidden ``.<name>.*.part`` file, which
    the next write of the same file an hour later deletes, never a partial ``path``. ``durable``
    also waits for the disk, so that a power failure leaves the old or the new file; it is not
    needed for files that can be produced again. Raises StorageError if the folder is not writable
    or the disk is full.
    """
    with wrap_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Writers such as Keras and matplotlib choose the format by the suffix.
        part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.part{path.suffix}")
        try:
            yield part
            if durable:
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # delete what killed writers left behind
            for old in path.parent.glob(f".{glob.escape(path.stem)}.*.part{path.suffix}"):
                if time.time() - old.stat().st_mtime > TEMPORARY_FILE_MAX_AGE:
                    old.unlink(missing_ok=True)


@contextlib.contextmanager
def wrap_os_errors(path: Path) -> Iterator[None]:
    """Raise StorageError for an OSError that says why ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        if message := _storage_message(error, path):
            raise StorageError(message) from error
        raise


@contextlib.contextmanager
def file_lock(path: Path, busy: Exception, *, timeout: float = 0) -> Iterator[None]:
    """Hold a lock file; the operating system releases it if the process is killed.

    Its folder is created if missing. ``busy`` is raised if another process holds the lock for
    ``timeout`` seconds, StorageError if the folder is not writable.
    """
    from filelock import FileLock, Timeout

    with wrap_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise busy from None
    try:
        yield
    finally:
        lock.release()


def describe_os_error(error: OSError) -> str:
    """Describe any OSError in one line: the file, the problem and, if known, the remedy."""
    prefix = f"{error.filename}: " if error.filename else ""
    message = f"{prefix}{error.strerror or error}"
    if "No usable temporary directory" in message:
        return "no temporary folder is writable; set the variable TMPDIR to one that is"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _storage_message(error, Path(os.fsdecode(error.filename or "a file"))) or message
    return message


def _storage_message(error: OSError, path: Path) -> str | None:
    """Return the reason why ``path`` could not be written and the remedy; None if unknown."""
    numpy_error = error.errno is None and any(words in str(error) for words in NUMPY_WRITE_ERRORS)
    if numpy_error or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk while writing {path}; free some and run it again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write {path}; choose a folder that you may write to"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY):
        return f"cannot write {path}: a file or folder of that name is in the way; move it"
    if error.errno == errno.EFBIG:
        return (
            f"{path} would exceed the largest file size allowed here; raise the limit (ulimit -f) "
            "or choose another disk"
        )
    if error.errno == errno.EIO:
        return f"the disk failed while writing {path}; choose another disk"
    return None


def backup_existing(path: Path) -> Path:
    """Rename ``path`` to the first free name of <name>-old-1, <name>-old-2, … and return it.

    An existing file or folder is never replaced, even if several processes do this at once.
    Raises StorageError if the folder is not writable.
    """
    number = 1
    while True:
        backup = path.with_stem(f"{path.stem}-old-{number}")
        if not os.path.lexists(backup) and _rename_if_free(path, backup):
            return backup
        number += 1


def _rename_if_free(path: Path, target: Path) -> bool:
    """Rename ``path`` to ``target`` and return True, or return False if ``target`` exists."""
    with wrap_os_errors(path):
        try:
            if path.is_dir():
                path.rename(target)  # fails if target is a folder that is not empty
                return True
            os.link(path, target)  # unlike rename, it fails if target exists
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                return False
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK) or path.is_dir():
                raise
            path.rename(target)  # the file system has no hard links
            return True
        path.unlink()
        return True


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as UTF-8, atomically and with its line ends unchanged."""
    with atomic_write(path, durable=durable) as part:
        part.write_bytes(text.encode())


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # the name of a file that is not valid UTF-8
        text = json.dumps(value, indent=2)
    write_text(path, text + "\n", durable=durable)


def read_json(path: Path) -> Any:
    """Read a JSON file; raise ValueError if it is not JSON in UTF-8 or is nested too deeply."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
