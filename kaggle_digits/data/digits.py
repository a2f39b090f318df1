"""Handwritten digits as arrays, read from the competition's CSV files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.cache import load_cached
from kaggle_digits.data.csv_reader import read_int_csv

SIDE = 28
PIXELS = SIDE * SIDE
# Coordinate of the image's centre: between the two middle pixels.
CENTRE = (SIDE - 1) / 2
CLASSES = 10
PIXEL_COLUMNS = [f"pixel{i}" for i in range(PIXELS)]
TRAIN_COLUMNS = ["label", *PIXEL_COLUMNS]
PIXEL_RANGE = dict.fromkeys(PIXEL_COLUMNS, 255)


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

    Raises:
        DataError: the file is missing or not in the competition's form; names line and column.
    """
    numbers, digest = load_cached(path, _parse_train)
    rows = len(numbers) // len(TRAIN_COLUMNS)
    return Digits(numbers[rows:].reshape(rows, SIDE, SIDE), numbers[:rows], digest)


def read_test(path: Path) -> Digits:
    """Read test.csv likewise: 784 columns, ``pixel0`` … ``pixel783``."""
    numbers, digest = load_cached(path, _parse_test)
    return Digits(numbers.reshape(-1, SIDE, SIDE), None, digest)


def _parse_train(path: Path, content: bytes) -> NDArray[np.uint8]:
    """Return all labels, then all pixels, so that both are contiguous views of one array."""
    table = read_int_csv(path, content, {"label": CLASSES - 1, **PIXEL_RANGE}, np.uint8)
    return np.concatenate([table[:, 0], table[:, 1:].ravel()])


def _parse_test(path: Path, content: bytes) -> NDArray[np.uint8]:
    return read_int_csv(path, content, PIXEL_RANGE, np.uint8).ravel()
