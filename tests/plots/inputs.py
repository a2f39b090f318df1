"""Small inputs for the plot functions."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kaggle_digits.metrics.scores import Score, mcnemar, wilson_interval
from kaggle_digits.plots import charts
from tests.support import small_runs

IMAGES, LABELS = small_runs.digits(120)
RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.full(10, 0.1), len(LABELS)).astype(np.float32)


def history(members: int, epochs: int) -> list[dict[str, float]]:
    """Return rows of history.csv; epochs counted from 0, member m trains m epochs longer."""
    return [
        {
            "member": m,
            "epoch": e - 1,
            "loss": 1 / e,
            "accuracy": np.nan,
            "val_loss": 2 / e,
            "val_accuracy": 1 - 1 / (e + 1),
        }
        for m in range(members)
        for e in range(1, epochs + 1 + m)
    ]


def shifted_copies(count: int) -> NDArray[np.uint8]:
    """Return (count, 10, 28, 28) copies, each shifted by one more pixel to the right."""
    return np.stack([np.roll(IMAGES[:10], k + 1, axis=2) for k in range(count)])


def run_comparison(names: list[str]) -> Figure:
    """Compare runs on 200 rows; each run has three more errors than the one before."""
    correct = [np.arange(200) >= 3 * n for n in range(len(names))]
    scores = [Score(c.mean(), wilson_interval(int(c.sum()), 200), 0.1, 200) for c in correct]
    tests = [None, *(mcnemar(other, correct[0]) for other in correct[1:])]
    return charts.run_comparison(names, scores, tests)
