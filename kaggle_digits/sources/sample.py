"""Digits of another origin in the format of the competition, such as scikit-learn's sample."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import SAMPLE, TEST, TRAIN
from kaggle_digits.data.digits import CENTRE, PIXEL_COLUMNS, PIXELS, SIDE, TRAIN_COLUMNS
from kaggle_digits.data.submission_csv import write_submission

SEED = 1797
TRAIN_FRACTION = 0.6  # Kaggle's train.csv has 42,000 of the 70,000 rows
# As in MNIST, the digit fills a box of 20 × 20 and its centre of mass is the image's centre.
BOX = 20


def write_sample(folder: Path) -> None:
    """Write the three files with 1,078 labelled and 719 unlabelled rows; always the same bytes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = digits.target.astype(np.uint8)
    write_competition_csvs(folder, enlarge(digits.images), labels, seed=SEED)


def enlarge(small: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Scale (n, 8, 8) images of 0 to 16 to (n, 28, 28) uint8 images of 0 to 255."""
    # The (20, 8) matrix of linear interpolation between the centres of pixels.
    positions = np.clip((np.arange(BOX) + 0.5) * small.shape[1] / BOX - 0.5, 0, small.shape[1] - 1)
    weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(small.shape[1])))
    boxes = np.clip(weights @ (small * (255 / 16)) @ weights.T, 0, 255)
    boxes, axis = np.rint(boxes).astype(np.uint8), np.arange(BOX)
    images = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    for image, box in zip(images, boxes, strict=True):
        mass = max(int(box.sum()), 1)
        centre = box.sum(axis=1) @ axis / mass, box.sum(axis=0) @ axis / mass
        top, left = (int(np.clip(np.rint(CENTRE - at), 0, SIDE - BOX)) for at in centre)
        image[top : top + BOX, left : left + BOX] = box
    return images


def write_competition_csvs(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], *, seed: int
) -> None:
    """Shuffle the digits and write train.csv (60 %), test.csv (40 %) and sample_submission.csv.

    ``images``: (n, 28, 28) or (n, 784) uint8; ``labels``: (n,) uint8, 0 to 9. Raises DataError if
    their shapes do not match.
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
        pd.DataFrame(values, columns=columns).to_csv(part, index=False, lineterminator="\r\n")
