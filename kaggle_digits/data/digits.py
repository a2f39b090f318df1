"""Handwritten digits as arrays, read from the competition's CSV files.

The parsed arrays are cached in a hidden folder beside the CSV files, with the SHA-256 of the file
they came from, and its size, times and inode: while these are the same, the file is not read again
(as in git's index). Loading takes 0.1 s instead of 3 s. The cache is a zip with a checksum of each
array; a damaged one is not used.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import StorageError
from kaggle_digits.data.csv_reader import read_content, read_int_csv, row_lines

SIDE = 28
PIXELS = SIDE * SIDE
# Coordinate of the image's centre: between the two middle pixels.
CENTRE = (SIDE - 1) / 2
CLASSES = 10
PIXEL_COLUMNS = [f"pixel{i}" for i in range(PIXELS)]
TRAIN_COLUMNS = ["label", *PIXEL_COLUMNS]
PIXEL_RANGE = dict.fromkeys(PIXEL_COLUMNS, 255)
CACHE_FOLDER, CACHE_FORMAT = ".cache", 2
# A file changed this recently may change again within the resolution of its time stamps.
SETTLED_SECONDS = 2.0


@dataclass(frozen=True)
class Digits:
    """Images with their labels, if known.

    The images are (n, 28, 28) uint8, 0 background to 255 ink; the labels (n,) uint8, 0 to 9. The
    hash is that of the CSV file's bytes. ``lines``, (n,) int64, are the file's lines that the rows
    stand on, counted from 1; None if they are 2 to n + 1, because the file has no empty lines.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    sha256: str
    lines: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)


def read_train(path: Path) -> Digits:
    """Read train.csv: 785 columns, ``label`` and ``pixel0`` … ``pixel783``.

    Raises DataError, which names line and column, if it is missing or has the wrong form.
    """
    parsed = _load_cached(path, _parse_train)
    rows = len(parsed.numbers) // len(TRAIN_COLUMNS)
    labels, pixels = parsed.numbers[:rows], parsed.numbers[rows:]
    return Digits(pixels.reshape(rows, SIDE, SIDE), labels, parsed.sha256, parsed.lines)


def read_test(path: Path) -> Digits:
    """Read test.csv likewise: 784 columns, ``pixel0`` … ``pixel783``."""
    parsed = _load_cached(path, _parse_test)
    return Digits(parsed.numbers.reshape(-1, SIDE, SIDE), None, parsed.sha256, parsed.lines)


def _parse_train(path: Path, content: bytes) -> NDArray[np.uint8]:
    """Return all labels, then all pixels, so that both are contiguous views of one array."""
    table = read_int_csv(path, content, {"label": CLASSES - 1, **PIXEL_RANGE}, np.uint8)
    return np.concatenate([table[:, 0], table[:, 1:].ravel()])


def _parse_test(path: Path, content: bytes) -> NDArray[np.uint8]:
    return read_int_csv(path, content, PIXEL_RANGE, np.uint8).ravel()


@dataclass(frozen=True)
class _Parsed:
    """The content of a cache file; ``signature`` is "" if that of the CSV file is not reliable."""

    numbers: NDArray[np.uint8]
    sha256: str
    signature: str
    lines: NDArray[np.int64] | None = None


def _load_cached(path: Path, parse: Callable[[Path, bytes], NDArray[np.uint8]]) -> _Parsed:
    """Return the numbers that ``parse(path, content)`` finds in the file, (n,), cached if possible.

    If the cache folder cannot be written, nothing is cached. Raises DataError if the file is
    missing, empty or refused by ``parse``.
    """
    cache = path.parent / CACHE_FOLDER / f"{path.name}.{CACHE_FORMAT}.npz"
    cached, signature = _read_cache(cache), _signature(path)
    if cached and signature and cached.signature == signature:
        return cached
    content = read_content(path)
    digest = hashlib.sha256(content).hexdigest()
    if signature != _signature(path):  # the file changed while it was read
        signature = ""
    if cached and cached.sha256 == digest:
        parsed = replace(cached, signature=signature)
    else:
        parsed = _Parsed(parse(path, content), digest, signature, row_lines(content))
    if not cached or (cached.sha256, cached.signature) != (digest, signature):
        with contextlib.suppress(StorageError, OSError):
            with atomic_write(cache) as part:
                np.savez(part, **{k: v for k, v in vars(parsed).items() if v is not None})
            for old in set(cache.parent.glob(f"{path.name}.*")) - {cache}:  # of earlier versions
                old.unlink()
    return parsed


def _read_cache(cache: Path) -> _Parsed | None:
    """Read a cache file; None if it is missing or damaged in any way."""
    if not cache.is_file():  # reading a pipe would wait for ever
        return None
    try:
        with np.load(cache, allow_pickle=False) as file:
            parsed = _Parsed(**file)
        return replace(parsed, sha256=str(parsed.sha256), signature=str(parsed.signature))
    except Exception:  # numpy and zipfile raise many types
        return None


def _signature(path: Path) -> str:
    """Return the size, times and inode of a file; "" if it changed too recently to rely on."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    if time.time() - max(stat.st_mtime, stat.st_ctime) < SETTLED_SECONDS:
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
