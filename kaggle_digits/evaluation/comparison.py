"""Which run is better, and is it chance? Runs measured on the rows that all of them held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.metrics.mcnemar import Turned, turned
from kaggle_digits.metrics.scores import Score, predicted_rows, score
from kaggle_digits.plots import style
from kaggle_digits.runs.run import Probabilities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 2


@dataclass(frozen=True)
class Compared:
    """One run beside the best.

    Attributes:
        run: its name.
        score: on the rows that all runs held out.
        against: rows that part it from the best: ``gained`` are those that only the best reads
            rightly, ``lost`` those that only this one does. None for the best itself.
    """

    run: str
    score: Score
    against: Turned | None


def compare(answers: Mapping[str, Probabilities], labels: NDArray[np.uint8]) -> list[Compared]:
    """Measure runs on the rows that all of them held out, best first.

    Args:
        answers: run → (n_train, 10) float32 out-of-fold probabilities, NaN where never held out.
        labels: (n_train,) uint8.

    Returns:
        Most accurate first; of equals the one with the lower log loss.

    Raises:
        UsageError: fewer than two runs.
        RunError: there is no row that all of them held out.
    """
    if len(answers) < FEWEST:
        raise UsageError("one run cannot be compared; name two or more: kd compare RUN RUN")
    known = [set(predicted_rows(found).tolist()) for found in answers.values()]
    rows = np.array(sorted(set.intersection(*known)), np.int64)
    if not len(rows):
        raise RunError(
            f"runs {', '.join(answers)} held out different rows, so no row can compare them; "
            "train them with the same --seed and --val-fraction, or with --folds"
        )
    truth = labels[rows]
    scores = {run: _scored(found[rows], truth) for run, found in answers.items()}
    order = sorted(scores, key=lambda run: (-scores[run].accuracy, scores[run].log_loss))
    right = {run: answers[run][rows].argmax(axis=1) == truth for run in order}
    best = order[0]
    return [
        Compared(run, scores[run], turned(right[run], right[best]) if run != best else None)
        for run in order
    ]


def in_words(compared: Sequence[Compared]) -> list[str]:
    """A sentence for each run but the best: is the best better, and is it chance?"""
    best, *others = compared
    said = []
    for other in others:
        parted = other.against
        assert parted is not None
        rows = (
            f"{parted.gained:,} row{'s' * (parted.gained != 1)} only {best.run} reads rightly, "
            f"{parted.lost:,} only {other.run}"
        )
        if parted.gained == parted.lost:
            said.append(f"{other.run} is as often right as {best.run}: {rows}")
        elif parted.beyond_chance:
            said.append(
                f"{best.run} is better than {other.run}, by more than chance would give: {rows} "
                f"(p = {parted.p_value:.2g})"
            )
        else:
            said.append(
                f"{best.run} is ahead of {other.run}, but chance alone may do so: {rows} "
                f"(p = {parted.p_value:.2g}; below 0.05 it would be hardly chance)"
            )
    if len(others) > 1:
        said.append(
            f"the best of {len(compared)} was chosen on the rows it is measured on, so its figure "
            "is a little too high"
        )
    return said


@style.styled
def draw(compared: Sequence[Compared]) -> Figure:
    """Accuracy of each run with its interval; beside it the rows that part it from the best.

    Args:
        compared: from ``compare``.
    """
    best = compared[0]
    figure = style.blank(
        9.6,
        2.3 + 0.55 * len(compared),
        f"{len(compared)} runs on the same {best.score.n:,} held-out rows",
        "Left: lines are 95 % Wilson intervals. Right: rows that part a run from the best; p is "
        "McNemar's exact test,\nhow often chance alone would part them so far.",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(compared))
    for place, item in enumerate(compared):
        low, high = item.score.ci95
        left.plot([100 * low, 100 * high], [place, place], color=style.TRAINING, linewidth=2.5)
        left.plot(100 * item.score.accuracy, place, "o", color=style.TRAINING, markersize=8)
        left.annotate(
            f"{100 * item.score.accuracy:.2f} %",
            (100 * item.score.accuracy, place),
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
        if item.against is None:
            right.annotate(
                "the best",
                (0, place),
                (6, 0),
                textcoords="offset points",
                va="center",
                color=style.MUTED,
            )
            continue
        right.barh(place, item.against.gained, height=0.45, color=style.TRAINING)
        right.barh(place, -item.against.lost, height=0.45, color=style.VALIDATION)
        right.annotate(
            f"{item.against.gained:,}   p = {item.against.p_value:.2g}",
            (item.against.gained, place),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
        right.annotate(
            f"{item.against.lost:,}",
            (-item.against.lost, place),
            (-5, 0),
            textcoords="offset points",
            va="center",
            ha="right",
            fontsize=9,
        )
    right.axvline(0, color=style.INK, linewidth=0.8)
    left.set_yticks(places, [item.run for item in compared])
    left.set_ylim(len(compared) - 0.4, -0.6)
    left.set(xlabel="accuracy (%)")
    right.set(xlabel=f"rows right by this run only  |  by {best.run} only")
    right.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    right.margins(x=0.45)
    left.margins(x=0.12)
    left.grid(axis="x")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
    return figure


def _scored(probabilities: Probabilities, truth: NDArray[np.uint8]) -> Score:
    found = score(probabilities, truth)
    assert found is not None
    return found
