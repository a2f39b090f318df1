"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import itertools
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import StorageError

SECONDS_UNTIL_ABANDONED = 3600.0
CUT_SHORT = ("requested and", "problem writing element")


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place when the block succeeds.

    A killed process leaves at most a hidden ``.<name>.*.part`` file, never a half ``path``; writing
    the same file an hour later takes it away.
    ``durable`` also waits for the disk, so that a power cut leaves the old file or the new one;
    spare it for what can be made again.

    Raises:
        StorageError: the folder is not writable or the disk is full.
    """
    with wrap_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays, because writers such as Keras and matplotlib go by it.
        part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.part{path.suffix}")
        try:
            yield part
            if durable:
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sweep(path)


def _sweep(path: Path) -> None:
    """Remove what processes killed while they wrote ``path`` left, once nobody can be at it."""
    with contextlib.suppress(OSError):
        for part in path.parent.glob(f".{glob.escape(path.stem)}.*.part{path.suffix}"):
            if time.time() - part.stat().st_mtime > SECONDS_UNTIL_ABANDONED:
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def wrap_os_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into a StorageError."""
    try:
        yield
    except OSError as error:
        message = _refusal(error, path)
        if message is None:
            raise
        raise StorageError(message) from error


def describe_os_error(error: OSError) -> str:
    """One line for what the operating system refused, wherever that was."""
    where = f"{error.filename}: " if error.filename else ""
    said = f"{where}{error.strerror or error}"
    if "No usable temporary directory" in said:
        return "no folder for temporary files can be written; name one by the variable TMPDIR"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _refusal(error, Path(os.fsdecode(error.filename or "a file"))) or said
    return said


def _refusal(error: OSError, path: Path) -> str | None:
    """Why ``path`` could not be written, and what to do; None where that is not known."""
    # numpy says only how many numbers it could not write.
    cut_short = error.errno is None and any(words in str(error) for words in CUT_SHORT)
    if cut_short or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk while writing {path}; free some and run it again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write {path}; choose a folder that you may write to"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY):
        return f"cannot write {path}: a file or folder of that name is in the way"
    if error.errno == errno.EFBIG:
        return (
            f"{path} would be longer than files may be here; raise the limit (ulimit -f), or "
            "choose another disk"
        )
    if error.errno == errno.EIO:
        return f"the disk failed while writing {path}"
    return None


def backup_existing(path: Path) -> Path:
    """Rename what stands at ``path`` to the first of <name>-old-1, -old-2, … that is free.

    Never onto something, however many processes do so at once.

    Raises:
        StorageError: the folder is not writable.
    """
    for number in itertools.count(1):
        aside = path.with_stem(f"{path.stem}-old-{number}")
        if not os.path.lexists(aside) and _moved(path, aside):
            return aside
    raise AssertionError("unreachable")


def _moved(path: Path, aside: Path) -> bool:
    """Whether ``aside`` was free and ``path`` is there now."""
    with wrap_os_errors(path):
        try:
            if path.is_dir():
                path.rename(aside)  # the system replaces no folder that holds something
                return True
            os.link(path, aside)  # a rename would replace what somebody put there just now
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                return False
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK) or path.is_dir():
                raise
            path.rename(aside)  # a file system without links
            return True
        path.unlink()
        return True


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as UTF-8, whole, with its line ends as they are."""
    with atomic_write(path, durable=durable) as part:
        part.write_bytes(text.encode())


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` as indented JSON, whole."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a path of bytes that are no characters where we are
        text = json.dumps(value, indent=2)
    write_text(path, text + "\n", durable=durable)


def read_json(path: Path) -> Any:
    """What stands in a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON in UTF-8, or nested deeper than anyone writes it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the bytes of ``path``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
