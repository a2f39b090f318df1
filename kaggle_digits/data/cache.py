"""Parsed CSV files kept as arrays, keyed by the content of the file they came from.

Hashing 77 MB costs as much as ten reads of the array, so the file's size, times and inode stand
for its content as long as none of them has changed, as in git's index.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, read_json, write_json
from kaggle_digits.core.errors import StorageError
from kaggle_digits.data.csv_reader import Content, read_content

FOLDER = ".cache"
FORMAT = 1
# A file written this recently can change again within one tick of its time stamps.
SETTLED_SECONDS = 2.0

Parse = Callable[[Path, Content], NDArray[np.uint8]]


def load_cached(path: Path, parse: Parse) -> tuple[NDArray[np.uint8], str]:
    """The numbers ``parse`` finds in the file at ``path``, and the sha256 of its bytes.

    Kept in a hidden folder beside the file; where that folder cannot be written, nothing is kept
    and nothing is said.

    Raises:
        DataError: whatever ``parse`` raises, and a file that is missing or empty.
    """
    note = path.parent / FOLDER / f"{path.name}.json"
    signature = _signature(path)
    if signature is not None and (digest := _noted(note, signature)) is not None:
        kept = _kept(path, digest)
        if kept is not None:
            return kept, digest

    content = read_content(path)
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(lambda: hashlib.sha256(content).hexdigest())
        numbers = None
        if any(note.parent.glob(f"{path.name}.*.npy")):  # perhaps only touched: look first
            numbers = _kept(path, hashing.result())
        fresh = numbers is None
        if numbers is None:
            numbers = parse(path, content)
        digest = hashing.result()
    with contextlib.suppress(StorageError, OSError):
        if fresh:
            _keep(path, digest, numbers)
        if signature is not None and signature == _signature(path):
            write_json(note, {"signature": signature, "sha256": digest}, durable=False)
    return numbers, digest


def _array_path(path: Path, digest: str) -> Path:
    return path.parent / FOLDER / f"{path.name}.{digest}.{FORMAT}.npy"


def _kept(path: Path, digest: str) -> NDArray[np.uint8] | None:
    try:
        numbers = np.load(_array_path(path, digest), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return numbers if numbers.dtype == np.uint8 and numbers.ndim == 1 and numbers.size else None


def _keep(path: Path, digest: str, numbers: NDArray[np.uint8]) -> None:
    target = _array_path(path, digest)
    with atomic_write(target, durable=False) as part:
        np.save(part, numbers)
    for old in target.parent.glob(f"{path.name}.*.npy"):
        if old != target:
            old.unlink(missing_ok=True)


def _signature(path: Path) -> str | None:
    """What changes whenever the content does; None while the file is too fresh to tell."""
    try:
        stat = path.stat()
    except OSError:
        return None
    if time.time() - max(stat.st_mtime, stat.st_ctime) < SETTLED_SECONDS:
        return None
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _noted(note: Path, signature: str) -> str | None:
    try:
        content = read_json(note)
        return str(content["sha256"]) if content["signature"] == signature else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
