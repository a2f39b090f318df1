"""Is test-time augmentation worth it? The same held-out rows, seen from more and fewer views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.metrics.mcnemar import Turned, turned
from kaggle_digits.metrics.scores import Score, predicted_rows, score
from kaggle_digits.runs.run import Probabilities


@dataclass(frozen=True)
class ViewsScore:
    """What a number of views is worth, beside one view of the same rows.

    Attributes:
        views: of each image, their probabilities averaged.
        score: on the held-out rows.
        changed: rows answered otherwise than from one view.
        turned: of these, the ones that are right now or no longer.
    """

    views: int
    score: Score
    changed: int
    turned: Turned


def compare_views(
    by_views: Mapping[int, Probabilities], labels: NDArray[np.integer]
) -> tuple[ViewsScore, ...]:
    """Compare each number of views with one, on the same rows; fewest views first.

    Args:
        by_views: number of views, 1 among them → (n, 10), NaN in the same rows of all.
        labels: (n,) whole numbers 0 to 9.

    Raises:
        RunError: there is no row with a prediction.
    """
    rows = predicted_rows(by_views[1])
    truth = labels[rows]
    one = by_views[1][rows].argmax(axis=1)
    found = []
    for views in sorted(by_views):
        known = by_views[views][rows]
        total = score(known, truth)
        if total is None:
            raise RunError("there are no predictions to measure")
        answers = known.argmax(axis=1)
        parted = turned(one == truth, answers == truth)
        found.append(ViewsScore(views, total, int((answers != one).sum()), parted))
    return tuple(found)


def best_views(scores: Sequence[ViewsScore]) -> ViewsScore:
    """The most accurate; of equals the one with the lower log loss, then with fewer views."""
    return min(scores, key=lambda s: (-s.score.accuracy, s.score.log_loss, s.views))
