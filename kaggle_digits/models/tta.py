"""Test-time augmentation: the same digit moved a little each time, answers averaged.

Moved as the network's training images were, it is read better for it; where those were not moved,
turning and scaling only blur what it knows, and whole pixels are left: benchmarks/research.md.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import CENTRE, CLASSES, SIDE
from kaggle_digits.models.base import ProbabilisticModel

TTA_LEVELS = (1, 5, 9)


class AffineRange(NamedTuple):
    """The most that a view is moved by.

    Attributes:
        rotation: degrees.
        width, height: share of the size.
        slant: pixels sideways a pixel of height.
        right, down: pixels.
    """

    rotation: float
    width: float
    height: float
    slant: float
    right: float
    down: float


# (right, down) in pixels, of networks whose training images were not moved.
SHIFTS = [(0, 0), (0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]
BASES = (2, 3, 5, 7, 11, 13)
# Images moved at once: 1.6 MB a float32 copy, so that a processor keeps them at hand.
CHUNK = 512
# Pixels of background around an image: whatever lies outside reads as 0.
BEFORE, BEHIND = 1, 2


def check_tta(views: int) -> None:
    """Raise UsageError for a number of views that is not offered."""
    if views not in TTA_LEVELS:
        raise UsageError(f"--tta {views} is not offered; one of: {', '.join(map(str, TTA_LEVELS))}")


@cache
def tta_transforms(views: int, affine_range: AffineRange | None) -> NDArray[np.float64]:
    """(views, 6): how far each view is moved, in the order and units of AffineRange.

    The image as it is, then pairs of opposites, so that their mean moves nothing: points of the
    Halton sequence (Halton 1960), which fill a space evenly however many are taken. The views of
    a smaller number are the first of a larger.

    Args:
        views: of TTA_LEVELS.
        affine_range: of the recipe's augmentation; None where it has none.
    """
    if affine_range is None:
        return np.pad(
            np.array(SHIFTS[:views], np.float64), ((0, 0), (len(AffineRange._fields) - 2, 0))
        )
    points = [[_halton(number, base) for base in BASES] for number in range(1, views // 2 + 1)]
    moves = (2 * np.reshape(points, (-1, len(affine_range))) - 1) * affine_range
    pairs = np.stack([moves, -moves], axis=1).reshape(-1, len(affine_range))
    return np.concatenate([np.zeros((1, len(affine_range))), pairs])


def _halton(number: int, base: int) -> float:
    """Digits of ``number`` mirrored at the point; SciPy has it too, behind a second of imports."""
    found, share = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        share /= base
        found += digit * share
    return found


def apply_affine(images: NDArray[np.uint8], move: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n, 28, 28) uint8 moved by one row of ``tta_transforms``, bilinear; outside is background."""
    if not move.any():
        return images
    columns, rows = _whence(move)
    left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
    corners = [(top + down, left + right) for down in (0, 1) for right in (0, 1)]
    weights = [
        ((1 - abs(rows - row)) * (1 - abs(columns - column))).astype(np.float32)
        for row, column in corners
    ]
    out = np.empty_like(images)
    for first in range(0, len(images), CHUNK):
        chosen = slice(first, first + CHUNK)
        padded = np.pad(images[chosen], ((0, 0), *[(BEFORE, BEHIND)] * 2))
        found = sum(
            padded[:, row + BEFORE, column + BEFORE] * weight
            for (row, column), weight in zip(corners, weights, strict=True)
        )
        out[chosen] = np.rint(found)
    return out


def _whence(move: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 28, 28): column and row that each pixel is read from; no further out than background."""
    xx, xy, right, yx, yy, down = affine_coefficients(np, [np.deg2rad(move[0]), *move[1:]])
    rows, columns = np.indices((SIDE, SIDE))
    places = [xx * columns + xy * rows + right, yx * columns + yy * rows + down]
    return np.asarray(np.clip(places, -BEFORE, SIDE))


def affine_coefficients(ops: Any, moves: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """From where a pixel is to where it comes from, about the image's centre.

    Args:
        ops: keras.ops or numpy.
        moves: (6, …) in the order and units of AffineRange, but for the rotation: radians.

    Returns:
        xx, xy, right, yx, yy, down, each (…): what is at (x, y) comes from
        (xx x + xy y + right, yx x + yy y + down).
    """
    wide, high, slant = 1 + moves[1], 1 + moves[2], moves[3]
    cos, sin = ops.cos(moves[0]), ops.sin(moves[0])
    xx, xy = wide * cos, slant - wide * sin
    yx, yy = high * sin, high * cos
    right = CENTRE - (xx + xy) * CENTRE + moves[4]
    down = CENTRE - (yx + yy) * CENTRE + moves[5]
    return xx, xy, right, yx, yy, down


def predict_tta(
    classifier: ProbabilisticModel,
    images: NDArray[np.uint8],
    views: int,
    affine_range: AffineRange | None,
) -> NDArray[np.float32]:
    """(n, 10) float32 probabilities averaged over ``views`` moved copies of each image.

    Raises:
        UsageError: ``views`` is none of TTA_LEVELS.
    """
    return predict_tta_levels(classifier, images, views, affine_range)[views]


def predict_tta_levels(
    classifier: ProbabilisticModel,
    images: NDArray[np.uint8],
    views: int,
    affine_range: AffineRange | None,
) -> dict[int, NDArray[np.float32]]:
    """What ``predict_tta`` gives for each number offered up to ``views``, at one price.

    Raises:
        UsageError: ``views`` is none of TTA_LEVELS.
    """
    check_tta(views)
    total = np.zeros((len(images), CLASSES), np.float64)
    found = {}
    for number, move in enumerate(tta_transforms(views, affine_range), 1):
        total += classifier.predict_proba(apply_affine(images, move))
        if number in TTA_LEVELS:
            found[number] = (total / number).astype(np.float32)
    return found
