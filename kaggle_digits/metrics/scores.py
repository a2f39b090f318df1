"""A score is never alone: accuracy with its 95 % interval, log loss, and how many rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError

Z95 = 1.959963984540054
# As scikit-learn's log_loss clips float32 probabilities: nothing is ever quite impossible.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Score:
    """What predictions on labelled rows are worth.

    Attributes:
        accuracy: share of rows right, 0 to 1.
        ci95: its 95 % Wilson interval.
        log_loss: mean of −ln(probability of the true label), in nats.
        n: rows scored.
    """

    accuracy: float
    ci95: tuple[float, float]
    log_loss: float
    n: int


def score(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Score | None:
    """Score the rows that have a prediction.

    Args:
        probabilities: (n, 10); rows of NaN (never validated) are left out.
        labels: (n,) whole numbers 0 to 9.

    Returns:
        The score, or None where no row has a prediction.

    Raises:
        RunError: the two differ in length.
    """
    if len(probabilities) != len(labels):
        raise RunError(
            f"{len(probabilities)} predictions for {len(labels)} labels: "
            "the run was trained on other data; kd runs RUN shows on which"
        )
    rows = predicted_rows(probabilities)
    if not len(rows):
        return None
    known, truth = probabilities[rows], labels[rows]
    right = int((known.argmax(axis=1) == truth).sum())
    chance = np.clip(known[np.arange(len(rows)), truth].astype(np.float64), SMALLEST_PROBABILITY, 1)
    return Score(
        right / len(rows), wilson(right, len(rows)), float(-np.log(chance).mean()), len(rows)
    )


def predicted_rows(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Indices of the rows of (n, 10) ``probabilities`` that hold a prediction, ascending."""
    return np.flatnonzero(~np.isnan(probabilities).any(axis=1))


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share ``right`` / ``n`` (Wilson 1927, score interval).

    Unlike the normal approximation it stays inside 0 to 1 and is not empty at 0 or n right.
    """
    share = right / n
    middle = share + Z95**2 / (2 * n)
    spread = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    scale = 1 + Z95**2 / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
