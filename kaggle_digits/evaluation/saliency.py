"""Saliency by occlusion: the parts of an image that a network's prediction depends on.

M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: cover a
small square of the image, predict again, and see how the prediction changes.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
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
DECISIVE_SIDES = (4, 6, 8, 10)  # of squares without which an image may be another digit
_STARTS = range(0, SIDE - SQUARE + 1, STRIDE)
SQUARES = [np.s_[y : y + SQUARE, x : x + SQUARE] for y, x in product(_STARTS, _STARTS)]


def error_saliency(
    run: Run, dataset: Dataset, errors: Sequence[Prediction]
) -> NDArray[np.float32] | None:
    """Return the saliency of each error as (n, 28, 28) float32, as ``occlusion`` does.

    The networks that were not trained on an image are averaged. None if there are no errors, or if
    the networks or their folds cannot be read without TensorFlow, as those of scikit-learn.
    """
    maps, load = [], cache(LiteRTClassifier)
    with suppress(DigitsError, OSError, ImportError):  # LiteRT may be missing
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
    logs = np.log(np.maximum(predict_proba(_cover(image)), SMALLEST_PROBABILITY))
    return _mean_decrease(logs[:, digit] - logs[:, other])


def probability_drop(
    predict_proba: PredictProba, image: NDArray[np.uint8], digit: int
) -> tuple[NDArray[np.float32], float]:
    """Return how much p(digit) falls when a square of background covers each pixel of an image.

    The image is (28, 28) uint8; the mean decrease is (28, 28) float32, negative where p rises. Also
    returns the lowest p with any of the squares.
    """
    probabilities = _predict_covered(predict_proba, image, _cover(image))[:, digit]
    return _mean_decrease(probabilities), float(probabilities.min())


@dataclass(frozen=True)
class DecisivePart:
    """A square without which an image is another digit.

    The box is left, top, right, bottom in the 28 × 28 pixels; ``where`` is its place in the digit,
    such as "top right"; ``digit`` and ``probability`` are those of the image without it.
    """

    box: tuple[int, int, int, int]
    where: str
    digit: int
    probability: float


def decisive_part(
    predict_proba: PredictProba, image: NDArray[np.uint8], digit: int
) -> DecisivePart | None:
    """Return the smallest square, of 4 to 10 pixels, without which (28, 28) is another digit.

    Of squares of the same size, it is the one that leaves the least p(digit). None if there is no
    such square.
    """
    for side in DECISIVE_SIDES:
        starts = list(product(range(0, SIDE - side + 1, STRIDE), repeat=2))
        squares = [np.s_[y : y + side, x : x + side] for y, x in starts]
        probabilities = _predict_covered(predict_proba, image, _cover(image, squares))[:-1]
        is_other = probabilities.argmax(axis=1) != digit
        if is_other.any():
            best = int(np.where(is_other, probabilities[:, digit], np.inf).argmin())
            (y, x), other = starts[best], int(probabilities[best].argmax())
            where = _describe_place(image, y + side / 2, x + side / 2)
            box, probability = (x, y, x + side, y + side), float(probabilities[best, other])
            return DecisivePart(box, where, other, probability)
    return None


def _describe_place(image: NDArray[np.uint8], row: float, column: float) -> str:
    """Return where a pixel is in the digit of a (28, 28) image, such as "top right"."""
    places = []
    for axis, position, names in (
        (1, row, ("top", "middle", "bottom")),
        (0, column, ("left", "", "right")),
    ):
        ink = np.flatnonzero(image.any(axis=axis))
        share = (position - ink[0]) / (ink[-1] - ink[0] + 1)
        places.append(names[int(np.clip(3 * share, 0, 2))])
    return " ".join(filter(None, places))


def _predict_covered(
    predict_proba: PredictProba, image: NDArray[np.uint8], images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return the (n, 10) probabilities of copies of an image, the last as it is, each once."""
    is_changed = (images != image).any(axis=(1, 2))
    is_changed[-1] = True  # the image itself
    changed = predict_proba(images[is_changed])
    probabilities = np.repeat(changed[-1:], len(images), axis=0)
    probabilities[is_changed] = changed
    return probabilities


def _cover(
    image: NDArray[np.uint8], squares: Sequence[tuple[slice, slice]] = SQUARES
) -> NDArray[np.uint8]:
    """Return copies (n, 28, 28) of an image, each with one square covered; the last as it is."""
    images = np.repeat(image[None], len(squares) + 1, axis=0)
    for covered, square in zip(images, squares, strict=False):
        covered[square] = 0
    return images


def _mean_decrease(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean decrease of a value over the squares that cover each pixel: (28, 28).

    The values (n,) are those of the images of ``_cover``.
    """
    total, counts = np.zeros((2, SIDE, SIDE), np.float32)
    for square, value in zip(SQUARES, values, strict=False):
        total[square] += values[-1] - value
        counts[square] += 1
    return total / counts
