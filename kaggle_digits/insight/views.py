"""Is test-time augmentation worth it? The same held-out rows, seen from more and fewer views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.errors import RunError
from kaggle_digits.runs import Probabilities
from kaggle_digits.scores import Score, predicted_rows, score


@dataclass(frozen=True)
class ViewsScore:
    """What a number of views is worth, beside one view of the same rows.

    Attributes:
        views: of each image, their probabilities averaged.
        score: on the held-out rows.
        changed: rows answered otherwise than from one view.
        gained: of these, wrong from one view and right now.
        lost: right from one view and wrong now.
        p_value: how often chance alone would part ``gained`` and ``lost`` at least so far: the
            exact two-sided McNemar test, a binomial test of ``gained`` in ``gained + lost`` at ½
            (McNemar, Psychometrika 12, 1947).
    """

    views: int
    score: Score
    changed: int
    gained: int
    lost: int
    p_value: float


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
    from scipy.stats import binomtest

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
        gained = int(((answers == truth) & (one != truth)).sum())
        lost = int(((answers != truth) & (one == truth)).sum())
        p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
        found.append(ViewsScore(views, total, int((answers != one).sum()), gained, lost, p_value))
    return tuple(found)


def best_views(scores: Sequence[ViewsScore]) -> ViewsScore:
    """The most accurate; of equals the one with the lower log loss, then with fewer views."""
    return min(scores, key=lambda s: (-s.score.accuracy, s.score.log_loss, s.views))
