"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.errors import StorageError


@contextlib.contextmanager
def write_whole(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place when the block succeeds.

    A killed process leaves at most a hidden ``.<name>.*.part`` file, never a half ``path``.
    ``durable`` also waits for the disk, so that a power cut leaves the old file or the new one;
    spare it for what can be made again.

    Raises:
        StorageError: the folder is not writable or the disk is full.
    """
    with explain_storage(path):
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


@contextlib.contextmanager
def explain_storage(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into a StorageError."""
    try:
        yield
    except OSError as error:
        # numpy says only how many numbers it could not write.
        cut_short = error.errno is None and "requested and" in str(error)
        if cut_short or error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left on the disk while writing {path}; free some and run it again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = f"no permission to write {path}; choose a folder that you may write to"
        elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            message = f"cannot write {path}: a file or folder of that name is in the way"
        elif error.errno == errno.EIO:
            message = f"the disk failed while writing {path}"
        else:
            raise
        raise StorageError(message) from error


def name_aside(path: Path) -> Path:
    """The first of <name>-old-1, -old-2, … that is free, where what stands at ``path`` can go."""
    return next(
        old
        for k in itertools.count(1)
        if not (old := path.with_stem(f"{path.stem}-old-{k}")).exists()
    )


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as UTF-8, whole, with its line ends as they are."""
    with write_whole(path, durable=durable) as part:
        part.write_bytes(text.encode())


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` as indented JSON, whole."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", durable=durable)


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
