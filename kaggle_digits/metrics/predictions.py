"""Single answers worth looking at: the surest mistakes and the narrowest escapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST_LINE = 2  # of the rows of train.csv: line 1 is the header


@dataclass(frozen=True)
class Answer:
    """What the model said about one row of train.csv.

    Attributes:
        row: index of the row, from 0.
        label: what train.csv says.
        predicted: what the model says.
        confidence: the probability it gives to that, 0 to 1.
        second: its next best guess.
    """

    row: int
    label: int
    predicted: int
    confidence: float
    second: int

    @property
    def line(self) -> int:
        """Line of train.csv, counted from 1 as editors do."""
        return self.row + FIRST_LINE

    @property
    def sureness(self) -> str:
        """The confidence as "97.3 %"; 0.99996 is "99.99 %", not the "100 %" that it is not."""
        if self.confidence >= 1:
            return "100 %"
        if self.confidence > 0.999:
            return f"{math.floor(self.confidence * 10_000) / 100:.2f} %"
        return f"{100 * self.confidence:.1f} %"


def worst_mistakes(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    rows: NDArray[np.integer],
    most: int,
) -> list[Answer]:
    """The wrong answers given with the most confidence, surest first.

    Args:
        probabilities: (n, 10), no NaN.
        labels: (n,) whole numbers 0 to 9.
        rows: (n,) row of train.csv of each, from 0.
        most: how many at most.
    """
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return chosen_answers(probabilities, labels, rows, order)


def doubtful_right(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    rows: NDArray[np.integer],
    most: int,
) -> list[Answer]:
    """The right answers given with the least confidence, most doubtful first.

    The arguments are those of :func:`worst_mistakes`.
    """
    confidence = probabilities.max(axis=1)
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    order = right[np.argsort(confidence[right], kind="stable")][:most]
    return chosen_answers(probabilities, labels, rows, order)


def chosen_answers(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    rows: NDArray[np.integer],
    chosen: NDArray[np.integer],
) -> list[Answer]:
    """The answers at the places ``chosen``, in that order; the rest as in worst_mistakes."""
    answers = []
    for i in chosen:
        # Stable and reversed sign: of equal probabilities the first wins, as with argmax.
        first, second = np.argsort(-probabilities[i], kind="stable")[:2]
        answers.append(
            Answer(
                int(rows[i]),
                int(labels[i]),
                int(first),
                float(probabilities[i, first]),
                int(second),
            )
        )
    return answers
