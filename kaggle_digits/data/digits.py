"""Handwritten digits as arrays, read from the competition's CSV files.

The parsed arrays are cached as .npy files in a hidden folder beside the CSV files, keyed by their
SHA-256. A note beside each holds the size, times and inode of the file that was hashed; while they
are the same, the file is not read again (as in git's index). Loading takes 0.06 s instead of 1.1 s.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, read_json, write_json
from kaggle_digits.core.errors import StorageError
from kaggle_digits.data.csv_reader import read_content, read_int_csv

SIDE = 28
PIXELS = SIDE * SIDE
# Coordinate of the image's centre: between the two middle pixels.
CENTRE = (SIDE - 1) / 2
CLASSES = 10
PIXEL_COLUMNS = [f"pixel{i}" for i in range(PIXELS)]
TRAIN_COLUMNS = ["label", *PIXEL_COLUMNS]
PIXEL_RANGE = dict.fromkeys(PIXEL_COLUMNS, 255)
CACHE_FOLDER, CACHE_FORMAT = ".cache", 1
# A file changed this recently may change again within the resolution of its time stamps.
SETTLED_SECONDS = 2.0
UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError)


@dataclass(frozen=True)
class Digits:
    """Images with their labels, if known.

    The images are (n, 28, 28) uint8, 0 background to 255 ink; the labels (n,) uint8, 0 to 9. The
    hash is that of the CSV file's bytes.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    sha256: str

    def __len__(self) -> int:
        return len(self.images)


def read_train(path: Path) -> Digits:
    """Read train.csv: 785 columns, ``label`` and ``pixel0`` … ``pixel783``.

    Raises DataError, which names line and column, if it is missing or has the wrong form.
    """
    numbers, digest = _load_cached(path, _parse_train)
    rows = len(numbers) // len(TRAIN_COLUMNS)
    return Digits(numbers[rows:].reshape(rows, SIDE, SIDE), numbers[:rows], digest)


def read_test(path: Path) -> Digits:
    """Read test.csv likewise: 784 columns, ``pixel0`` … ``pixel783``."""
    numbers, digest = _load_cached(path, _parse_test)
    return Digits(numbers.reshape(-1, SIDE, SIDE), None, digest)


def _parse_train(path: Path, content: bytes) -> NDArray[np.uint8]:
    """Return all labels, then all pixels, so that both are contiguous views of one array."""
    table = read_int_csv(path, content, {"label": CLASSES - 1, **PIXEL_RANGE}, np.uint8)
    return np.concatenate([table[:, 0], table[:, 1:].ravel()])


def _parse_test(path: Path, content: bytes) -> NDArray[np.uint8]:
    return read_int_csv(path, content, PIXEL_RANGE, np.uint8).ravel()


def _load_cached(
    path: Path, parse: Callable[[Path, bytes], NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], str]:
    """Return ``parse(path, content)`` for the file at ``path``, and the file's SHA-256.

    The array is one-dimensional. If the cache folder cannot be written, nothing is cached. Raises
    DataError if the file is missing, empty or refused by ``parse``.
    """
    folder = path.parent / CACHE_FOLDER
    note, signature = folder / f"{path.name}.json", _signature(path)
    with contextlib.suppress(*UNREADABLE):
        recorded = read_json(note)
        if signature is not None and recorded["signature"] == signature:
            digest = str(recorded["sha256"])
            return _load(folder / f"{path.name}.{digest}.{CACHE_FORMAT}.npy"), digest

    content = read_content(path)
    digest = hashlib.sha256(content).hexdigest()
    array = folder / f"{path.name}.{digest}.{CACHE_FORMAT}.npy"
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
