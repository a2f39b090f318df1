"""Write labelled digits of another origin as the competition's three CSV files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import SAMPLE, TEST, TRAIN
from kaggle_digits.data.digits import PIXEL_COLUMNS, PIXELS, TRAIN_COLUMNS
from kaggle_digits.data.submission_csv import write_submission

# Kaggle's train.csv has 42,000 of the 70,000 rows.
TRAIN_FRACTION = 0.6


def write_competition_csvs(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], *, seed: int
) -> None:
    """Shuffle the digits and write train.csv (60 %), test.csv (40 %) and sample_submission.csv.

    Args:
        folder: the existing folder to write to.
        images: (n, 28, 28) or (n, 784) uint8.
        labels: (n,) uint8, 0 to 9; those of the rows in test.csv are not written.
        seed: of the shuffle.

    Raises:
        DataError: the shapes of images and labels do not match.
        StorageError: the disk is full or not writable.
    """
    pixels = images.reshape(len(images), -1)
    if pixels.shape != (len(labels), PIXELS) or len(labels) < 2:
        raise DataError(f"{pixels.shape} pixels for {len(labels)} labels: not 28 × 28 digits")
    order = np.random.default_rng(seed).permutation(len(labels))
    n_train = round(TRAIN_FRACTION * len(labels))
    train, test = order[:n_train], order[n_train:]
    _write_csv(folder / TRAIN, TRAIN_COLUMNS, np.column_stack([labels[train], pixels[train]]))
    _write_csv(folder / TEST, PIXEL_COLUMNS, pixels[test])
    ids = np.arange(1, len(test) + 1)
    write_submission(folder / SAMPLE, ids, np.zeros(len(test), np.uint8))


def _write_csv(path: Path, columns: list[str], values: NDArray[np.uint8]) -> None:
    """Write (rows, columns) ``values`` with CRLF line ends, like Kaggle's files."""
    import pandas as pd

    with atomic_write(path, durable=False) as part:
        pd.DataFrame(values, columns=columns).to_csv(
            part, index=False, lineterminator="\r\n", encoding="utf-8"
        )
