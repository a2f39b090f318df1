"""scikit-learn's bundled digits in the competition's format: no account, no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.sources.competition_csvs import write_competition_csvs

SEED = 1797
# As in MNIST: the digit in a 20 × 20 box, its centre of mass at the picture's centre.
BOX = 20


def write_sample(folder: Path) -> None:
    """Write the three files, 1,078 labelled and 719 unlabelled rows, the same every time."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    write_competition_csvs(folder, enlarge(bunch.images), bunch.target.astype(np.uint8), seed=SEED)


def enlarge(small: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Bring (n, 8, 8) images of 0 to 16 to (n, 28, 28) uint8 of 0 to 255."""
    weights = _linear_weights(small.shape[1], BOX)
    boxes = np.clip(weights @ (small * (255 / 16)) @ weights.T, 0, 255)
    boxes = np.rint(boxes).astype(np.uint8)
    pictures = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    axis = np.arange(BOX)
    middle, furthest = (SIDE - 1) / 2, SIDE - BOX
    for picture, box in zip(pictures, boxes, strict=True):
        mass = max(int(box.sum()), 1)
        centre = box.sum(axis=1) @ axis / mass, box.sum(axis=0) @ axis / mass
        top, left = (int(np.clip(np.rint(middle - at), 0, furthest)) for at in centre)
        picture[top : top + BOX, left : left + BOX] = box
    return pictures


def _linear_weights(n_from: int, n_to: int) -> NDArray[np.float64]:
    """(n_to, n_from) matrix of linear interpolation between the centres of pixels."""
    at = (np.arange(n_to) + 0.5) * n_from / n_to - 0.5
    distance = np.abs(np.clip(at, 0, n_from - 1)[:, None] - np.arange(n_from))
    return np.asarray(np.maximum(0, 1 - distance), np.float64)
