"""Cross-validate an ensemble and what each of its runs contributes.

The predictions of a row never depend on temperatures, weights or a stack fitted on that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.ensembling.combiners import FITTERS, Fitter, apply_temperatures
from kaggle_digits.metrics.calibration import fit_temperature
from kaggle_digits.metrics.scores import score_or_raise
from kaggle_digits.runs.run import Probabilities

CV_FOLDS = 5


@dataclass(frozen=True)
class Contribution:
    """Metrics of an ensemble minus those of the ensemble without one of its runs.

    Attributes:
        right: difference in rows predicted correctly; above 0 if the run helps.
        log_loss: difference in nats per row; below 0 if the run helps.
    """

    right: int
    log_loss: float


class Fold(NamedTuple):
    """One fold of the cross-validation over the common rows.

    Attributes:
        probabilities: (runs, n, 10) float32 out-of-fold probabilities of the runs, after
            temperatures fitted without the validation rows if the method is calibrated.
        validation: (n,) bool, the rows that nothing is fitted on in this fold.
    """

    probabilities: NDArray[np.float32]
    validation: NDArray[np.bool_]


def make_folds(
    stacked: NDArray[np.float32],
    labels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    *,
    calibrated: bool,
) -> list[Fold]:
    """Split the common rows into at most five folds, stratified by digit.

    scikit-learn's StratifiedKFold is not used because it refuses fewer rows of a digit than folds.

    Args:
        stacked: (runs, n_train, 10) out-of-fold probabilities, NaN for rows never validated.
        labels: (n_train,) uint8.
        rows: (n,) indices of the rows that every run predicted; no rows give no folds.
        calibrated: whether to apply to each run a temperature, fitted on all rows that it
            predicted except the fold's validation rows.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    order = order[np.argsort(labels[rows][order], kind="stable")]
    fold_of = np.empty(len(rows), np.int64)
    fold_of[order] = np.arange(len(rows)) % CV_FOLDS
    folds = []
    for fold in range(min(CV_FOLDS, len(rows))):
        validation, probabilities = fold_of == fold, stacked[:, rows]
        if calibrated:
            fit_on = np.ones(len(labels), bool)
            fit_on[rows[validation]] = False
            temperatures = [fit_temperature(run[fit_on], labels[fit_on]) for run in stacked]
            probabilities = apply_temperatures(probabilities, temperatures)
        folds.append(Fold(probabilities, validation))
    return folds


def cross_validate(
    method: str, folds: Sequence[Fold], labels: NDArray[np.uint8], members: Sequence[int]
) -> tuple[Probabilities, Fitter]:
    """Cross-validate an ensemble of some of the runs.

    The fitted weights of method ``weighted`` are used only if they have a lower cross-validated log
    loss than equal weights. This choice between two is made on the rows it is evaluated on.

    Args:
        method: one of ``combiners.METHODS``.
        folds: from ``make_folds``.
        labels: (n,) labels of the common rows.
        members: positions of the runs to combine.

    Returns:
        (n, 10) float32 probabilities and the fitter that made them.
    """
    fitter, unweighted = FITTERS[method], FITTERS["mean"]
    probabilities = _cross_validated(fitter, folds, labels, members)
    if method == "weighted":
        equal = _cross_validated(unweighted, folds, labels, members)
        fitted_score, equal_score = (score_or_raise(p, labels) for p in (probabilities, equal))
        if fitted_score.log_loss >= equal_score.log_loss:
            return equal, unweighted
    return probabilities, fitter


def _cross_validated(
    fitter: Fitter, folds: Sequence[Fold], labels: NDArray[np.uint8], members: Sequence[int]
) -> Probabilities:
    combined = np.empty((len(labels), CLASSES), np.float32)
    for fold in folds:
        probabilities, validation = fold.probabilities[list(members)], fold.validation
        combiner = fitter(probabilities[:, ~validation], labels[~validation])
        combined[validation] = combiner(probabilities[:, validation])
    return combined


def contributions(
    method: str, folds: Sequence[Fold], labels: NDArray[np.uint8], ensemble: Probabilities
) -> list[Contribution]:
    """Measure each run's contribution by cross-validating the ensemble without it.

    Args:
        method: one of ``combiners.METHODS``.
        folds: from ``make_folds``.
        labels: (n,) labels of the common rows.
        ensemble: (n, 10) cross-validated probabilities of all runs.
    """
    members = range(len(folds[0].probabilities))
    whole = score_or_raise(ensemble, labels)
    result = []
    for left_out in members:
        others = [member for member in members if member != left_out]
        without = score_or_raise(cross_validate(method, folds, labels, others)[0], labels)
        difference = whole.correct - without.correct
        result.append(Contribution(difference, whole.log_loss - without.log_loss))
    return result
