"""Test-time augmentation: the same digit a little turned, scaled, slanted and shifted each time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CENTRE, CLASSES, PIXELS, SIDE
from kaggle_digits.errors import UsageError
from kaggle_digits.models.classifier import Answering

ALLOWED = (1, 5, 9)
# The most that a view is moved by: degrees; share of width and of height; slant, in pixels a row;
# pixels right and down. About as far as `strong` moves training images: benchmarks/research.md.
AMOUNTS = {"rotation": 10.0, "width": 0.1, "height": 0.1, "slant": 0.1, "right": 2.0, "down": 2.0}
# Images moved at once: 13 MB a float32 copy.
CHUNK = 4096


def check_views(views: int) -> None:
    """Raise UsageError for a number of views that is not offered."""
    if views not in ALLOWED:
        raise UsageError(f"--tta {views} is not offered; one of: {', '.join(map(str, ALLOWED))}")


@cache
def view_amounts(views: int) -> NDArray[np.float64]:
    """(views, 6): how far each view is moved, in the order and units of AMOUNTS.

    The image as it is, then pairs of opposites, so that the mean moves nothing: points of the
    Halton sequence (Halton 1960), which fill a space evenly however many are taken. The views of
    a smaller number are the first of a larger.
    """
    from scipy.stats.qmc import Halton

    # Its first point is the corner of the space.
    points = Halton(len(AMOUNTS), scramble=False).random(views // 2 + 1)[1:]
    moves = (2 * points - 1) * list(AMOUNTS.values())
    pairs = np.stack([moves, -moves], axis=1).reshape(-1, len(AMOUNTS))
    return np.concatenate([np.zeros((1, len(AMOUNTS))), pairs])


def moved(images: NDArray[np.uint8], amounts: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n, 28, 28) uint8 moved by one row of ``view_amounts``, bilinear; outside is background."""
    if not amounts.any():
        return images
    places = _places(amounts)
    out = np.empty_like(images)
    for first in range(0, len(images), CHUNK):
        chosen = slice(first, first + CHUNK)
        flat = images[chosen].reshape(-1, PIXELS).astype(np.float32)
        out[chosen] = np.rint(flat @ places).reshape(-1, SIDE, SIDE)
    return out


def _places(amounts: NDArray[np.float64]) -> Any:
    """(784, 784) sparse float32: row i is the image whose only pixel is i, moved."""
    from scipy import ndimage, sparse

    rotation, width, height, slant, right, down = amounts
    angle = np.deg2rad(rotation)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    whence = np.eye(3)  # the first axis is the pixel that is lit
    whence[1:, 1:] = np.diag([1 + height, 1 + width]) @ turn + [[0, 0], [slant, 0]]
    middle = np.array([0, CENTRE, CENTRE])
    lit = np.eye(PIXELS, dtype=np.float32).reshape(-1, SIDE, SIDE)
    found = ndimage.affine_transform(
        lit, whence, middle - whence @ middle + [0, down, right], order=1
    )
    return sparse.csr_array(found.reshape(PIXELS, PIXELS))


def view_probabilities(
    classifier: Answering, images: NDArray[np.uint8], views: int
) -> NDArray[np.float32]:
    """(n, 10) float32 probabilities averaged over ``views`` moved copies of each image.

    Raises:
        UsageError: ``views`` is none of ALLOWED.
    """
    return probabilities_by_views(classifier, images, views)[views]


def probabilities_by_views(
    classifier: Answering, images: NDArray[np.uint8], views: int
) -> dict[int, NDArray[np.float32]]:
    """What ``view_probabilities`` gives for each number offered up to ``views``, at one price.

    Raises:
        UsageError: ``views`` is none of ALLOWED.
    """
    check_views(views)
    total = np.zeros((len(images), CLASSES), np.float64)
    found = {}
    for number, amounts in enumerate(view_amounts(views), 1):
        total += classifier.probabilities(moved(images, amounts))
        if number in ALLOWED:
            found[number] = (total / number).astype(np.float32)
    return found
