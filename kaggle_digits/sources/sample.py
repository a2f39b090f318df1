"""scikit-learn's bundled digits in the format of the competition: no account, no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.sources.competition_csvs import write_competition_csvs

SEED = 1797
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
    weights = _interpolation_weights(small.shape[1], BOX)
    boxes = np.clip(weights @ (small * (255 / 16)) @ weights.T, 0, 255)
    boxes = np.rint(boxes).astype(np.uint8)
    images = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    axis = np.arange(BOX)
    middle, last_offset = (SIDE - 1) / 2, SIDE - BOX
    for image, box in zip(images, boxes, strict=True):
        mass = max(int(box.sum()), 1)
        centre = box.sum(axis=1) @ axis / mass, box.sum(axis=0) @ axis / mass
        top, left = (int(np.clip(np.rint(middle - at), 0, last_offset)) for at in centre)
        image[top : top + BOX, left : left + BOX] = box
    return images


def _interpolation_weights(n_from: int, n_to: int) -> NDArray[np.float64]:
    """Return the (n_to, n_from) matrix of linear interpolation between pixel centres."""
    positions = (np.arange(n_to) + 0.5) * n_from / n_to - 0.5
    distance = np.abs(np.clip(positions, 0, n_from - 1)[:, None] - np.arange(n_from))
    return np.asarray(np.maximum(0, 1 - distance), np.float64)
