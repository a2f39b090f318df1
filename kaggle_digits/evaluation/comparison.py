"""Compare models on the same held-out rows: several runs, or one run with and without TTA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.metrics.scores import (
    McNemarResult,
    Score,
    mcnemar,
    predicted_rows,
    score_or_raise,
    shared_rows,
)
from kaggle_digits.runs.files import Probabilities


@dataclass(frozen=True)
class ComparedRun:
    """The score of one run on the rows that all runs held out, compared with the best run.

    In McNemar's test ``against_best``, ``gained`` counts rows that only the best predicts
    correctly, ``lost`` rows that only this run does. It is None for the best itself. ``leak`` is
    that of the run (``Run.leak``): its score is not that of unseen rows, so it is never the best
    unless all have one.
    """

    run: str
    score: Score
    against_best: McNemarResult | None
    leak: str | None = None


@dataclass(frozen=True)
class TtaScore:
    """The score with a number of test-time augmentation views, compared with one view.

    ``changed`` rows have another prediction than with one view; in McNemar's test, ``gained``
    counts rows correct only with ``views`` views.
    """

    views: int
    score: Score
    changed: int
    mcnemar: McNemarResult


def compare_runs(
    oofs: Mapping[str, Probabilities],
    labels: NDArray[np.uint8],
    leaks: Mapping[str, str | None] | None = None,
    splits: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[ComparedRun]:
    """Score runs on the rows that all held out: highest accuracy, then lowest log loss first.

    ``oofs`` are run → (n_train, 10) out-of-fold probabilities, NaN for rows not held out;
    ``leaks`` are run → Run.leak(), of every run, and ``splits`` run → its settings, for messages.
    Runs with a leak come last. Raises UsageError for fewer than two runs; RunError if too few rows
    were held out by all (see ``shared_rows``) or a row is neither NaN nor probabilities.
    """
    if len(oofs) < 2:
        raise UsageError("a comparison needs at least two runs: `kd.compare(RUN, RUN)`")
    leaks = leaks or dict.fromkeys(oofs)
    rows = shared_rows(oofs, splits or {})
    truth = labels[rows]
    scores = {run: score_or_raise(oof[rows], truth) for run, oof in oofs.items()}
    correct = {run: oof[rows].argmax(axis=1) == truth for run, oof in oofs.items()}
    ranks = {run: (bool(leaks[run]), -s.accuracy, s.log_loss) for run, s in scores.items()}
    order = sorted(ranks, key=ranks.__getitem__)
    best = order[0]
    tests = {run: mcnemar(correct[run], correct[best]) for run in order[1:]}
    return [ComparedRun(run, scores[run], tests.get(run), leaks[run]) for run in order]


def conclusions(compared: Sequence[ComparedRun]) -> list[str]:
    """Write a sentence for each run but the best: is the best better by more than chance?"""
    clean = [item for item in compared if not item.leak]
    sentences = [
        f"{item.run} is not compared: {item.leak}, so its accuracy is not that of unseen rows"
        for item in compared
        if item.leak
    ]
    for other in clean[1:]:
        best, test = clean[0], other.against_best
        assert test is not None
        rows = (
            f"{test.gained:,} row{'s' * (test.gained != 1)} only {best.run} predicts correctly, "
            f"{test.lost:,} only {other.run}"
        )
        p = f"p {test.p_text}"
        if test.gained == test.lost:
            sentence = f"{other.run} and {best.run} have the same accuracy: {rows}"
        elif test.significant:
            sentence = f"{best.run} is significantly better than {other.run}: {rows} ({p})"
        else:
            lead = f"{best.run} is ahead of {other.run}, but this may be chance"
            sentence = f"{lead}: {rows} ({p}; below 0.05 would be significant)"
        sentences.append(sentence)
    if len(clean) > 2:
        sentences.append(
            f"the best of {len(clean)} was chosen on the rows it is evaluated on, so its "
            "accuracy is slightly optimistic"
        )
    return sentences


def compare_tta(
    by_views: Mapping[int, Probabilities], labels: NDArray[np.integer]
) -> tuple[TtaScore, ...]:
    """Compare each number of views with one view on the same rows, fewest views first.

    ``by_views`` is the number of views, including 1 → (n, 10), NaN in the same rows for all;
    without any other row RunError is raised.
    """
    rows = predicted_rows(by_views[1])
    truth = labels[rows]
    one_view = by_views[1][rows].argmax(axis=1)
    scores = []
    for views, probabilities in sorted(by_views.items()):
        predicted = probabilities[rows].argmax(axis=1)
        changed = int((predicted != one_view).sum())
        test = mcnemar(one_view == truth, predicted == truth)
        scores.append(TtaScore(views, score_or_raise(probabilities[rows], truth), changed, test))
    return tuple(scores)


def best_tta(scores: Sequence[TtaScore]) -> TtaScore:
    """Return the most accurate; of equals the one with the lower log loss, then fewer views."""
    return min(scores, key=lambda s: (-s.score.accuracy, s.score.log_loss, s.views))
