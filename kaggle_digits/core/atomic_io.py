"""Write files atomically, lock them, and read and write JSON strictly.

A reader of a file that is being replaced sees the old file or the complete new one.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import itertools
import json
import math
import os
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kaggle_digits.core.errors import NotWritableError, StorageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

TEMPORARY_FILE_MAX_AGE = 3600.0  # seconds
# Windows cannot replace a file that is open, for example in a virus scanner.
REPLACE_SECONDS = 2.0 if sys.platform == "win32" else 0.0
# numpy's messages for a write that the full disk cut short; these errors have no errno.
NUMPY_WRITE_ERRORS = ("requested and", "problem writing element")
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
# errno of a failed write → what to say; {} is the path.
PROBLEMS = {
    (errno.ENOSPC, errno.EDQUOT): "no space left on the disk while writing {}; free some and run "
    "it again",
    NOT_WRITABLE: "no permission to write {}; choose a folder that you may write to, or copy this "
    "one there"
    + (", or close the program that has the file open" if sys.platform == "win32" else ""),
    (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY): "cannot write {}: a file or "
    "folder of that name is in the way; move it",
    (errno.EFBIG,): "{} would exceed the largest file size allowed here; raise the limit "
    "(ulimit -f) or choose another disk",
    (errno.EIO,): "the disk failed while writing {}; choose another disk",
}
# Far more than any JSON file of this package needs.
MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_DIGITS = 64 << 20, 32, 18
MAX_SHOWN = 40  # characters of a value in a message


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
            _replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # delete what killed writers left behind
            for old in path.parent.glob(f".{glob.escape(path.stem)}.*.part{path.suffix}"):
                if time.time() - old.stat().st_mtime > TEMPORARY_FILE_MAX_AGE:
                    old.unlink(missing_ok=True)


def _replace(part: Path, path: Path) -> None:
    """Rename ``part`` to ``path``; on Windows, wait up to REPLACE_SECONDS while others read it."""
    end = time.monotonic() + REPLACE_SECONDS
    while True:
        try:
            part.replace(path)
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def wrap_os_errors(path: Path) -> Iterator[None]:
    """Raise StorageError for an OSError that says why ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        if message := _storage_message(error, path):
            kind = NotWritableError if error.errno in NOT_WRITABLE else StorageError
            raise kind(message) from error
        raise


@contextlib.contextmanager
def file_lock(path: Path, busy: Exception, *, timeout: float = 0) -> Iterator[None]:
    """Hold the lock of ``new_lock``, and raise its errors.

    ``busy`` is raised if another process still holds it after ``timeout`` seconds.
    """
    from filelock import SoftFileLock, Timeout

    lock = new_lock(path)
    with wrap_os_errors(path):
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            if not isinstance(lock, SoftFileLock):
                raise busy from None
            raise type(busy)(
                f"{busy} (there are no file locks here that end with a process: if no kd runs on "
                f"any machine, delete {lock.lock_file})"
            ) from None
    try:
        yield
    finally:
        lock.release()


def new_lock(path: Path) -> BaseFileLock:
    """Return a lock, not acquired yet, that ends with the process, also if it is killed.

    It is the operating system's lock of the file ``path``, whose folder is created. On a file
    system without such locks it is the file ``<path>.owner``, which holds process and machine:
    filelock removes it if it finds, on the same machine, that this process has ended. Raises
    NotWritableError if the folder is not writable.
    """
    from filelock import FileLock, SoftFileLock

    with wrap_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        owner = path.with_name(f"{path.name}.owner")
        # A process that could not use locks, for want of a server, may still be running.
        if _has_locks(path.parent) and not owner.exists():
            return FileLock(path)
        path.touch()
        return SoftFileLock(owner)


def _has_locks(folder: Path) -> bool:
    """Return whether the file system of ``folder`` has locks, tried on a temporary file."""
    if sys.platform == "win32":  # which always has
        return True
    import fcntl

    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".lock-") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


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
    code = error.errno
    if code is None and any(words in str(error) for words in NUMPY_WRITE_ERRORS):
        code = errno.ENOSPC
    return next((text.format(path) for codes, text in PROBLEMS.items() if code in codes), None)


def backup_existing(path: Path, *beside: Path) -> Path:
    """Rename ``path`` to the first free name of <name>-old-1, <name>-old-2, … and return it.

    The files ``beside`` it get the same number. An existing file or folder is never replaced, even
    if several processes do this at once. Raises StorageError if the folder is not writable.
    """
    for number in itertools.count(1):
        backups = [one.with_stem(f"{one.stem}-old-{number}") for one in (path, *beside)]
        if not any(map(os.path.lexists, backups)) and _rename_if_free(path, backups[0]):
            for other, backup in zip(beside, backups[1:], strict=True):
                if not _rename_if_free(other, backup):  # another process has just taken the name
                    backup_existing(other)
            break
    return backups[0]


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


def link_or_copy(source: str, target: str) -> None:
    """Make ``target`` a hard link to a file, or a copy on a file system without hard links.

    Files are replaced and never changed in place, so later changes of ``source`` do not reach it.
    """
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write ``content`` atomically."""
    with atomic_write(path, durable=durable) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as UTF-8, atomically and with its line ends unchanged.

    Names of files that are not valid UTF-8 get escapes, which are the same in JSON and in Python.
    """
    write_bytes(path, text.encode(errors="backslashreplace"), durable=durable)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` as indented JSON, atomically; numbers that are not finite become null."""
    text = json.dumps(without_nan(value), indent=2, ensure_ascii=False)
    write_text(path, f"{text}\n", durable=durable)


def without_nan(value: Any) -> Any:
    """Return a JSON value in which None replaces NaN and Infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Read a JSON file of at most 64 MB as ``parse_json`` does; also raises as ``read_file``."""
    return parse_json(read_file(path, MAX_JSON_BYTES))


def parse_json(content: bytes) -> Any:
    """Parse JSON in UTF-8, with or without BOM.

    Python's parser accepts more than other programs and later steps can handle. ValueError is
    raised for NaN, Infinity, integers of more than 18 digits, numbers of 1e309, a key that occurs
    twice in an object and more than 32 levels; json.JSONDecodeError, which has the line, if it is
    not JSON; UnicodeDecodeError, if it is not UTF-8.
    """
    try:
        value = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_unique_keys,
            parse_constant=_finite_number,
            parse_float=_finite_number,
            parse_int=_short_integer,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        containers = [one for one in level if isinstance(one, dict | list)]
        children = (one.values() if isinstance(one, dict) else one for one in containers)
        level = list(itertools.chain.from_iterable(children))
    if level:
        raise ValueError("it is nested too deeply")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    for key, count in keys.items():
        if count > 1:
            raise ValueError(f"the key {key[:MAX_SHOWN]!r} occurs {count} times in one object")
    return dict(pairs)


def _finite_number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:MAX_SHOWN]} is not a finite number")
    return number


def _short_integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_JSON_DIGITS:
        raise ValueError(f"the number {text[:MAX_SHOWN]}… is too large")
    return int(text)


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a file; raise as ``open_file``, and ValueError if it is larger."""
    with open_file(path) as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise ValueError(f"its size is more than {max_bytes:,} bytes")
        return file.read()


def open_file(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.

    Raises OSError if it cannot be read, ValueError if it is a folder, pipe, socket or device; none
    of them is opened, because opening a pipe waits for a writer.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is a folder, pipe, socket or device instead of a file")
    return path.open("rb")


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
