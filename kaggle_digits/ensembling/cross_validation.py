"""What an ensemble, and each run in it, is worth: no row is judged by what was learnt on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.ensembling.combiners import LEARNERS, Learn
from kaggle_digits.metrics.calibration import apply_temperature, temperature
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs.run import Probabilities

# Folds by which an ensemble is judged: each row by a combination that never saw it.
JUDGING_FOLDS = 5


@dataclass(frozen=True)
class Gain:
    """What an ensemble is with one of its runs, less what it is without, on the same rows.

    Attributes:
        right: rows right; above 0 where the run helps.
        log_loss: in nats a row; below 0 where the run helps.
    """

    right: int
    log_loss: float


@dataclass(frozen=True)
class Fold:
    """One of the parts that the rows are judged in.

    Attributes:
        known: (runs, n, 10) float32 out-of-fold probabilities, after temperatures (where the method
            has any) that were learnt without the judged rows.
        judged: (n,) bool: the rows that nothing is learnt on here.
    """

    known: NDArray[np.float32]
    judged: NDArray[np.bool_]


def judging_folds(
    stacked: NDArray[np.float32],
    labels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    *,
    calibrated: bool,
) -> list[Fold]:
    """The parts in which each common row is judged once.

    Dealt out digit by digit, so that every fold has its share of each, however few rows there are.

    Args:
        stacked: (runs, n_train, 10) out-of-fold probabilities, NaN where never validated.
        labels: (n_train,) uint8.
        rows: (n,) indices of the rows that every run predicted.
        calibrated: whether each run gets a temperature, learnt on all its rows but the judged.

    Returns:
        At most five folds; none where ``rows`` is empty.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    order = order[np.argsort(labels[rows][order], kind="stable")]
    fold_of = np.empty(len(rows), np.int64)
    fold_of[order] = np.arange(len(rows)) % JUDGING_FOLDS
    folds = []
    for fold in range(min(JUDGING_FOLDS, len(rows))):
        judged, known = fold_of == fold, stacked[:, rows]
        if calibrated:
            seen = np.ones(len(labels), bool)
            seen[rows[judged]] = False
            known = tempered(known, [temperature(run[seen], labels[seen]) for run in stacked])
        folds.append(Fold(known, judged))
    return folds


def judge(
    method: str, folds: Sequence[Fold], truth: NDArray[np.uint8], members: Sequence[int]
) -> tuple[Probabilities, Learn]:
    """Cross-validate some of the runs together.

    Weights are kept only where they lower the log loss; else it is the mean that is judged. That
    one choice of two is made on the rows it is judged on.

    Args:
        method: one of ``blend.METHODS``.
        folds: of ``judging_folds``.
        truth: (n,) labels of the common rows.
        members: places of the runs to put together.

    Returns:
        (n, 10) float32 probabilities, each row's learnt without it, and what learns the like.
    """
    learn, equal = LEARNERS[method], LEARNERS["mean"]
    judged = _cross_validated(learn, folds, truth, members)
    if method == "weighted":
        unweighted = _cross_validated(equal, folds, truth, members)
        if _log_loss(judged, truth) >= _log_loss(unweighted, truth):
            return unweighted, equal
    return judged, learn


def _cross_validated(
    learn: Learn, folds: Sequence[Fold], truth: NDArray[np.uint8], members: Sequence[int]
) -> Probabilities:
    judged = np.empty((len(truth), CLASSES), np.float32)
    for fold in folds:
        known = fold.known[list(members)]
        combined = learn(known[:, ~fold.judged], truth[~fold.judged])
        judged[fold.judged] = combined(known[:, fold.judged])
    return judged


def member_gains(
    method: str, folds: Sequence[Fold], truth: NDArray[np.uint8], whole: Probabilities
) -> list[Gain]:
    """What each member adds: ``whole`` (n, 10) less what is made, and judged alike, without it."""
    gains = []
    members = range(len(folds[0].known))
    for left_out in members:
        others = [member for member in members if member != left_out]
        without, _ = judge(method, folds, truth, others)
        gained = _right(whole, truth) - _right(without, truth)
        gains.append(Gain(gained, _log_loss(whole, truth) - _log_loss(without, truth)))
    return gains


def _right(probabilities: Probabilities, truth: NDArray[np.uint8]) -> int:
    return int((probabilities.argmax(axis=1) == truth).sum())


def _log_loss(probabilities: Probabilities, truth: NDArray[np.uint8]) -> float:
    found = score(probabilities, truth)
    assert found is not None  # only asked for where there are rows
    return found.log_loss


def tempered(
    probabilities: NDArray[np.float32], temperatures: Sequence[float]
) -> NDArray[np.float32]:
    """(runs, n, 10) float32, each run by its own temperature."""
    each = zip(probabilities, temperatures, strict=True)
    return np.stack([apply_temperature(run, warmth) for run, warmth in each])
