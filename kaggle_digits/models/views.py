"""Test-time augmentation: the same digit moved a little each time, answers averaged.

Moved as the network's training images were, it is read better for it; where those were not moved,
turning and scaling only blur what it knows, and whole pixels are left: benchmarks/research.md.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CENTRE, CLASSES, PIXELS, SIDE
from kaggle_digits.errors import UsageError
from kaggle_digits.models.classifier import Answering

ALLOWED = (1, 5, 9)


class Reach(NamedTuple):
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
# Images moved at once: 13 MB a float32 copy.
CHUNK = 4096


def check_views(views: int) -> None:
    """Raise UsageError for a number of views that is not offered."""
    if views not in ALLOWED:
        raise UsageError(f"--tta {views} is not offered; one of: {', '.join(map(str, ALLOWED))}")


@cache
def view_moves(views: int, reach: Reach | None) -> NDArray[np.float64]:
    """(views, 6): how far each view is moved, in the order and units of Reach.

    The image as it is, then pairs of opposites, so that their mean moves nothing: points of the
    Halton sequence (Halton 1960), which fill a space evenly however many are taken. The views of
    a smaller number are the first of a larger.

    Args:
        views: of ALLOWED.
        reach: of the recipe's augmentation; None where it has none.
    """
    if reach is None:
        return np.pad(np.array(SHIFTS[:views], np.float64), ((0, 0), (len(Reach._fields) - 2, 0)))
    from scipy.stats.qmc import Halton

    # Its first point is the corner of the space.
    points = Halton(len(reach), scramble=False).random(views // 2 + 1)[1:]
    moves = (2 * points - 1) * reach
    pairs = np.stack([moves, -moves], axis=1).reshape(-1, len(reach))
    return np.concatenate([np.zeros((1, len(reach))), pairs])[:views]


def moved(images: NDArray[np.uint8], move: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n, 28, 28) uint8 moved by one row of ``view_moves``, bilinear; outside is background."""
    if not move.any():
        return images
    places = _places(move)
    out = np.empty_like(images)
    for first in range(0, len(images), CHUNK):
        chosen = slice(first, first + CHUNK)
        flat = images[chosen].reshape(-1, PIXELS).astype(np.float32)
        out[chosen] = np.rint(flat @ places).reshape(-1, SIDE, SIDE)
    return out


def _places(move: NDArray[np.float64]) -> Any:
    """(784, 784) sparse float32: row i is the image whose only pixel is i, moved."""
    from scipy import ndimage, sparse

    rotation, width, height, slant, right, down = move
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
    classifier: Answering, images: NDArray[np.uint8], views: int, reach: Reach | None
) -> NDArray[np.float32]:
    """(n, 10) float32 probabilities averaged over ``views`` moved copies of each image.

    Raises:
        UsageError: ``views`` is none of ALLOWED.
    """
    return probabilities_by_views(classifier, images, views, reach)[views]


def probabilities_by_views(
    classifier: Answering, images: NDArray[np.uint8], views: int, reach: Reach | None
) -> dict[int, NDArray[np.float32]]:
    """What ``view_probabilities`` gives for each number offered up to ``views``, at one price.

    Raises:
        UsageError: ``views`` is none of ALLOWED.
    """
    check_views(views)
    total = np.zeros((len(images), CLASSES), np.float64)
    found = {}
    for number, move in enumerate(view_moves(views, reach), 1):
        total += classifier.probabilities(moved(images, move))
        if number in ALLOWED:
            found[number] = (total / number).astype(np.float32)
    return found
