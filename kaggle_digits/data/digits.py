"""Handwritten digits as arrays, read from the competition's CSV files.

The parsed arrays are cached in a hidden folder beside the CSV files, of Kaggle's read-only input in
the cache folder, with the SHA-256 of the file they came from, and its size, times and inode: while
these are the same, the file is not read again (as in git's index). Loading takes 0.1 s instead of
3 s. The cache is a zip with a checksum of each array; a damaged one is not used.
"""

import contextlib
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core import progress
from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.environment import cache_folder
from kaggle_digits.core.errors import DataError, StorageError, one_line
from kaggle_digits.core.platforms import is_kaggle_input
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
LARGE_FILE = 8 << 20  # bytes that take longer than a moment to read

Images = NDArray[np.uint8]  # (n, 28, 28): 0 background to 255 ink
Labels = NDArray[np.integer]  # (n,): 0 to 9


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

    @property
    def row_lines(self) -> NDArray[np.int64]:
        """The line of each row, (n,) int64, also if there are no empty lines."""
        return np.arange(2, len(self) + 2) if self.lines is None else self.lines


def read_train(path: Path) -> Digits:
    """Read train.csv: 785 columns, ``label`` and ``pixel0`` … ``pixel783``.

    Raises DataError, which names line and column, if it is missing or has the wrong form.
    """
    return _load_cached(path, {"label": CLASSES - 1, **PIXEL_RANGE})


def read_test(path: Path) -> Digits:
    """Read test.csv likewise: 784 columns, ``pixel0`` … ``pixel783``."""
    return _load_cached(path, PIXEL_RANGE)


def to_images(pixels: Any, name: str = "the images") -> NDArray[np.uint8]:
    """Return (n, 28, 28) uint8 images: 0 background to 255 ink.

    ``pixels`` are (n, 28, 28) or (n, 784): an array of any type of numbers, or a DataFrame. Raises
    DataError, which begins with ``name``, for another shape or another value than 0, 1, …, 255.
    """
    values = np.asarray(pixels)
    if values.shape[1:] not in ((SIDE, SIDE), (PIXELS,)):
        advice = "; without the column label" if values.shape[1:] == (PIXELS + 1,) else ""
        raise DataError(
            f"{name} have the shape {values.shape}; expected (n, 28, 28) or (n, 784){advice}"
        )
    return np.ascontiguousarray(to_uint8(values, 255, name)).reshape(-1, SIDE, SIDE)


def to_uint8(values: Any, highest: int, name: str) -> NDArray[np.uint8]:
    """Return ``values`` as uint8; DataError names the first that is not 0, 1, …, ``highest``."""
    array = np.asarray(values)
    try:
        numbers = array.astype(np.float64, copy=False) if array.dtype != np.uint8 else array
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are not numbers ({one_line(error)})") from error
    is_valid = (numbers >= 0) & (numbers <= highest) & (numbers == np.floor(numbers))
    if not is_valid.all():
        place = np.argwhere(~is_valid)[0].tolist()
        value = numbers[tuple(place)]
        raise DataError(f"{name} hold {value:g} at {place}; expected whole numbers 0 to {highest}")
    return array.astype(np.uint8, copy=False)


def csv_sha256(columns: list[str], table: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of ``table`` (n, columns) as a CSV file in the form of Kaggle's."""
    cells = np.array([f"{value}," for value in range(256)], "S4")[table]
    cells[:, -1] = np.array([f"{value}\r" for value in range(256)], "S4")[table[:, -1]]
    content = cells.tobytes().replace(b"\0", b"").replace(b"\r", b"\r\n")
    return hashlib.sha256(",".join(columns).encode() + b"\r\n" + content).hexdigest()


def _load_cached(path: Path, columns: dict[str, int]) -> Digits:
    """Return the digits in the file, whose ``columns`` are as in read_int_csv, cached if possible.

    If the cache folder cannot be written, nothing is cached. Raises DataError if the file is
    missing, empty or has the wrong form.
    """
    folder = path.parent / CACHE_FOLDER
    if is_kaggle_input(path.parent):  # which is read-only
        folder = cache_folder() / "-".join(path.parent.parts[1:])
    cache = folder / f"{path.name}.{CACHE_FORMAT}.npz"
    (digits, cached_signature), signature = _read_cache(cache), _signature(path)
    if digits and signature and signature == cached_signature:
        return digits
    content = read_content(path)
    if signature != _signature(path):  # the file changed while it was read
        signature = ""
    digest = hashlib.sha256(content).hexdigest()
    if digits is None or digits.sha256 != digest:
        if len(content) > LARGE_FILE:
            progress.note(f"reading {path.name} …")
        table = read_int_csv(path, content, columns, np.uint8)
        images = np.ascontiguousarray(table[:, -PIXELS:]).reshape(-1, SIDE, SIDE)
        labels = table[:, 0].copy() if "label" in columns else None
        digits = Digits(images, labels, digest, row_lines(content, len(table)))
    elif signature == cached_signature:
        return digits
    arrays = {name: value for name, value in vars(digits).items() if value is not None}
    with contextlib.suppress(StorageError, OSError):
        with atomic_write(cache) as part:
            np.savez(part, signature=signature, **arrays)
        for old in {*folder.glob(f"{path.name}.*")} - {cache}:  # of earlier versions
            old.unlink()
    return digits


def _read_cache(cache: Path) -> tuple[Digits | None, str]:
    """Return the digits in a cache file and the signature of the CSV file that they came from.

    None and "" if it is missing or damaged in any way. The signature is "" if it was not reliable.
    """
    if not cache.is_file():  # reading a pipe would wait for ever
        return None, ""
    try:
        with np.load(cache, allow_pickle=False) as file:
            arrays = {"labels": None, **file}
        signature, digest = str(arrays.pop("signature")), str(arrays.pop("sha256"))
        return Digits(sha256=digest, **arrays), signature
    except Exception:  # numpy and zipfile raise many types
        return None, ""


def _signature(path: Path) -> str:
    """Return the size, times and inode of a file; "" if it changed too recently to rely on."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    if time.time() - max(stat.st_mtime, stat.st_ctime) < SETTLED_SECONDS:
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
