"""Test-time augmentation: the same digit seen a pixel to each side, answers averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.errors import UsageError
from kaggle_digits.models.classifier import Answering

# (down, right) in pixels; the first n are used for n views.
SHIFTS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
ALLOWED = (1, 5, 9)


def check_views(views: int) -> None:
    """Raise UsageError for a number of views that is not offered."""
    if views not in ALLOWED:
        raise UsageError(f"--tta {views} is not offered; one of: {', '.join(map(str, ALLOWED))}")


def shifted(images: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """(n, 28, 28) uint8 moved by whole pixels; what comes in at the edge is background."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:]
    moved[
        :,
        max(down, 0) : height + min(down, 0),
        max(right, 0) : width + min(right, 0),
    ] = images[
        :,
        max(-down, 0) : height + min(-down, 0),
        max(-right, 0) : width + min(-right, 0),
    ]
    return moved


def view_probabilities(
    classifier: Answering, images: NDArray[np.uint8], views: int
) -> NDArray[np.float32]:
    """(n, 10) float32 probabilities averaged over ``views`` shifted copies of each image.

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
    for number, (down, right) in enumerate(SHIFTS[:views], 1):
        total += classifier.probabilities(shifted(images, down, right))
        if number in ALLOWED:
            found[number] = (total / number).astype(np.float32)
    return found
