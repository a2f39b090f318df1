"""Single predictions worth looking at: most confident errors, least confident correct ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """The prediction for one row of train.csv, counted from 0.

    ``predicted`` is the most probable digit, ``confidence`` its probability, 0 to 1, and ``second``
    the second most probable digit.
    """

    row: int
    label: int
    predicted: int
    confidence: float
    second: int

    @property
    def line(self) -> int:
        """Line of train.csv, counted from 1; line 1 is the header."""
        return self.row + 2

    @property
    def confidence_text(self) -> str:
        """The confidence as "97.3 %", rounded down near 1: 0.99996 is "99.99 %", not "100 %"."""
        if self.confidence >= 1:
            return "100 %"
        if self.confidence > 0.999:
            return f"{math.floor(self.confidence * 10_000) / 100:.2f} %"
        return f"{100 * self.confidence:.1f} %"


def notable_predictions(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    rows: NDArray[np.integer],
    limit: int,
) -> tuple[list[Prediction], list[Prediction]]:
    """Return the most confident errors and the least confident correct predictions.

    At most ``limit`` of each. ``probabilities`` are (n, 10) without NaN, ``labels`` (n,) 0 to 9;
    ``rows`` (n,) are the rows of train.csv, from 0.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    ascending = np.argsort(confidence, kind="stable")
    descending = np.argsort(-confidence, kind="stable")
    errors = descending[~correct[descending]][:limit]
    unsure = ascending[correct[ascending]][:limit]
    return (
        predictions_at(probabilities, labels, rows, errors),
        predictions_at(probabilities, labels, rows, unsure),
    )


def predictions_at(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    rows: NDArray[np.integer],
    positions: NDArray[np.integer],
) -> list[Prediction]:
    """Return the predictions at ``positions`` (indices into the other arrays), in that order."""
    # A stable sort of the negated values: of equal probabilities the first wins, as in argmax.
    ranked = np.argsort(-probabilities[positions], axis=1, kind="stable")
    predictions = []
    for i, (first, second) in zip(positions, ranked[:, :2], strict=True):
        confidence = float(probabilities[i, first])
        row, label = int(rows[i]), int(labels[i])
        predictions.append(Prediction(row, label, int(first), confidence, int(second)))
    return predictions
