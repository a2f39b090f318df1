"""Parsed CSV files cached as .npy arrays in a hidden folder beside the files.

An array is keyed by the SHA-256 of the CSV file. A note beside it holds the size, times and inode
of the file that was hashed; while they are the same, the file is not read again (as in git's
index). Loading takes 0.06 s instead of 1.1 s.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, read_json, write_json
from kaggle_digits.core.errors import StorageError
from kaggle_digits.data.csv_reader import read_content

FOLDER = ".cache"
FORMAT = 1
# A file changed this recently may change again within the resolution of its time stamps.
SETTLED_SECONDS = 2.0
UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError)


def load_cached(
    path: Path, parse: Callable[[Path, bytes], NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], str]:
    """Return ``parse(path, content)`` for the file at ``path``, and the file's SHA-256.

    The array is one-dimensional. If the cache folder cannot be written, nothing is cached. Raises
    DataError if the file is missing, empty or refused by ``parse``.
    """
    folder = path.parent / FOLDER
    note, signature = folder / f"{path.name}.json", _signature(path)
    with contextlib.suppress(*UNREADABLE):
        recorded = read_json(note)
        if signature is not None and recorded["signature"] == signature:
            digest = str(recorded["sha256"])
            return _load(folder / f"{path.name}.{digest}.{FORMAT}.npy"), digest

    content = read_content(path)
    digest = hashlib.sha256(content).hexdigest()
    array = folder / f"{path.name}.{digest}.{FORMAT}.npy"
    try:
        numbers = _load(array)
    except UNREADABLE:
        numbers = parse(path, content)
        with contextlib.suppress(StorageError, OSError):
            with atomic_write(array, durable=False) as part:
                np.save(part, numbers)
            for old in set(folder.glob(f"{path.name}.*.npy")) - {array}:
                old.unlink(missing_ok=True)
    with contextlib.suppress(StorageError, OSError):
        if signature is not None and signature == _signature(path):
            write_json(note, {"signature": signature, "sha256": digest}, durable=False)
    return numbers, digest


def _load(array: Path) -> NDArray[np.uint8]:
    numbers = np.load(array, allow_pickle=False)
    if numbers.dtype != np.uint8 or numbers.ndim != 1 or not numbers.size:
        raise ValueError(f"{array} was not written by this module")
    return np.asarray(numbers)


def _signature(path: Path) -> str | None:
    """Return the size, times and inode of a file; None if it changed too recently to rely on."""
    try:
        stat = path.stat()
    except OSError:
        return None
    if time.time() - max(stat.st_mtime, stat.st_ctime) < SETTLED_SECONDS:
        return None
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
