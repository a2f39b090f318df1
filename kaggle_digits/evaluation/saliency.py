"""Saliency by occlusion: the parts of an image that a network's prediction depends on.

M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: cover a
small square of the image, predict again, and see how the prediction changes.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DigitsError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import SIDE
from kaggle_digits.metrics.classification import Prediction
from kaggle_digits.metrics.scores import SMALLEST_PROBABILITY
from kaggle_digits.models.base import PredictProba
from kaggle_digits.models.formats import LITERT_FILE, LiteRTClassifier
from kaggle_digits.runs.run import Run

SQUARE, STRIDE = 4, 2  # pixels


def error_saliency(
    run: Run, dataset: Dataset, errors: Sequence[Prediction]
) -> NDArray[np.float32] | None:
    """Return the saliency of each error as (n, 28, 28) float32, as ``occlusion`` does.

    The networks that were not trained on an image are averaged. None if there are no errors, or if
    the networks or their folds cannot be read without TensorFlow, as those of scikit-learn.
    """
    maps, load = [], cache(LiteRTClassifier)
    with suppress(DigitsError, OSError):
        parts = [(one.member_folders(), one.folds(dataset)) for one in run.base_runs() or [run]]
        for error in errors:
            networks = [
                load(folder / LITERT_FILE).predict_proba
                for folders, folds in parts
                for member, folder in enumerate(folders)
                if error.row in folds[member % len(folds)].val
            ]
            image = dataset.train.images[error.row]
            pair = (error.predicted, error.label)
            maps.append(np.mean([occlusion(p, image, *pair) for p in networks], axis=0))
        return np.stack(maps) if maps else None
    return None


def occlusion(
    predict_proba: PredictProba, image: NDArray[np.uint8], digit: int, other: int
) -> NDArray[np.float32]:
    """Return how much each pixel speaks for ``digit`` against ``other``: (28, 28) float32.

    It is the mean decrease of log p(digit) − log p(other) when a square of background covers the
    pixel of the (28, 28) uint8 image.
    """
    starts = range(0, SIDE - SQUARE + 1, STRIDE)
    squares = [np.s_[y : y + SQUARE, x : x + SQUARE] for y, x in product(starts, starts)]
    images = np.repeat(image[None], len(squares) + 1, axis=0)  # the last one stays as it is
    for covered, square in zip(images, squares, strict=False):
        covered[square] = 0
    logs = np.log(np.maximum(predict_proba(images), SMALLEST_PROBABILITY))
    odds = logs[:, digit] - logs[:, other]
    total, counts = np.zeros((2, SIDE, SIDE), np.float32)
    for square, covered_odds in zip(squares, odds, strict=False):
        total[square] += odds[-1] - covered_odds
        counts[square] += 1
    return total / counts
