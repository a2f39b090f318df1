"""Combine several runs into one set of probabilities, fitted on out-of-fold rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.ensembling.combiners import (
    FITTERS,
    METHODS,
    apply_temperatures,
    fit_weights,
    weighted_mean,
)
from kaggle_digits.ensembling.cross_validation import (
    CV_FOLDS,
    Contribution,
    contributions,
    cross_validate,
    make_folds,
)
from kaggle_digits.metrics.calibration import fit_temperature
from kaggle_digits.metrics.scores import Score, predicted_rows, score
from kaggle_digits.runs.run import Probabilities, Run

# Methods that average probabilities, so every run first gets its temperature.
CALIBRATED = ("mean", "weighted")
FITTED = ("weighted", "stack")


@dataclass(frozen=True)
class Ensemble:
    """The combined probabilities of several runs and their metrics.

    Attributes:
        test: (n_test, 10) float32 probabilities (for ``vote``: shares of votes).
        oof: (n_train, 10) float32 cross-validated probabilities, NaN unless every run has a
            prediction.
        score: of ``oof``; None without common rows.
        member_scores: of each run's own probabilities on the common rows.
        contributions: of each run, cross-validated on the same rows; None without common rows.
        temperatures: (runs,) of ``mean`` and ``weighted``, each fitted on all out-of-fold rows of
            its run, 1 if it has none; None for the other methods.
        weights: (runs,) of ``weighted``, summing to 1; None for the other methods.
        weights_help: whether fitted weights have a lower cross-validated log loss than equal ones;
            if not, ``weights`` are equal. None for other methods than ``weighted``.
    """

    test: Probabilities
    oof: Probabilities
    score: Score | None
    member_scores: list[Score | None]
    contributions: list[Contribution] | None
    temperatures: list[float] | None
    weights: list[float] | None
    weights_help: bool | None


def ensemble_runs(runs: Sequence[Run], labels: NDArray[np.uint8], method: str) -> Ensemble:
    """Combine finished runs.

    Args:
        runs: at least two, trained on the same data; in a tied vote the first run decides.
        labels: (n_train,) uint8.
        method: ``mean`` of probabilities after temperature, ``vote``, ``weighted`` mean after
            temperature, or ``stack`` (logistic regression on log-probabilities).

    Raises:
        UsageError: fewer than two runs or an unknown method.
        RunError: the runs were trained on different data or, for ``weighted`` and ``stack``, with
            different splits.
    """
    check_method(method)
    if len(runs) < 2:
        raise UsageError("an ensemble needs at least two runs: kd ensemble RUN RUN")
    _check_same_data(runs, method)
    return combine([run.oof() for run in runs], [run.test() for run in runs], labels, method)


def combine(
    oofs: Sequence[Probabilities],
    tests: Sequence[Probabilities],
    labels: NDArray[np.uint8],
    method: str,
) -> Ensemble:
    """Combine the probabilities of runs.

    Args:
        oofs: (n_train, 10) float32 per run, NaN for rows never validated.
        tests: (n_test, 10) float32 per run.
        labels: (n_train,) uint8.
        method: as in ``ensemble_runs``.

    Raises:
        RunError: too few rows were predicted by every run to fit ``weighted`` or ``stack``.
    """
    oof, test = np.stack(oofs), np.stack(tests)
    rows = predicted_rows(oof.transpose(1, 0, 2).reshape(len(labels), -1))
    truth = labels[rows]
    if method in FITTED:
        _check_enough_rows(truth, method)
    calibrated = method in CALIBRATED
    folds = make_folds(oof, labels, rows, calibrated=calibrated)
    validated, fitter = cross_validate(method, folds, truth, range(len(oofs)))

    # The final combiner is fitted on all common rows.
    common, temperatures = oof[:, rows], None
    if calibrated:
        temperatures = [fit_temperature(run, labels) for run in oofs]
        common, test = (
            apply_temperatures(common, temperatures),
            apply_temperatures(test, temperatures),
        )
    weights, weights_help = None, None
    if method == "weighted":
        weights_help = fitter is FITTERS["weighted"]
        equal = np.full(len(oofs), 1 / len(oofs))
        weights = fit_weights(common, truth) if weights_help else equal
        combined_test = weighted_mean(test, weights)
    else:
        combined_test = fitter(common, truth)(test)

    combined_oof = np.full((len(labels), CLASSES), np.nan, np.float32)
    combined_oof[rows] = validated
    return Ensemble(
        test=combined_test,
        oof=combined_oof,
        score=score(validated, truth),
        member_scores=[score(run[rows], truth) for run in oofs],
        contributions=contributions(method, folds, truth, validated) if len(rows) else None,
        temperatures=temperatures,
        weights=None if weights is None else weights.tolist(),
        weights_help=weights_help,
    )


def check_method(method: str) -> None:
    """Raise UsageError unless ``method`` is one of ``METHODS``."""
    if method not in METHODS:
        raise UsageError(f"--method {method} is unknown; choose one of: {', '.join(METHODS)}")


def _check_enough_rows(labels: NDArray[np.uint8], method: str) -> None:
    if not len(labels):
        raise RunError(
            f"--method {method} is fitted on out-of-fold rows, and these runs have none in common; "
            "train them with the same --folds and --seed, or use --method mean"
        )
    if np.bincount(labels).max() < CV_FOLDS:
        raise RunError(
            f"{len(labels)} common out-of-fold rows are too few to fit --method {method}; "
            "use --method mean"
        )


def _check_same_data(runs: Sequence[Run], method: str) -> None:
    first, config = runs[0], runs[0].config()
    for run in runs[1:]:
        other = run.config()
        for file in ("train", "test"):
            if other["data"][f"{file}_sha256"] != config["data"][f"{file}_sha256"]:
                raise RunError(
                    f"runs {first.name} and {run.name} were trained with different {file}.csv; "
                    "an ensemble needs the same data"
                )
        if method in FITTED and other["split_fingerprint"] != config["split_fingerprint"]:
            raise RunError(
                f"runs {first.name} and {run.name} held out different rows, so --method {method} "
                "cannot be fitted on them; train with the same --folds, --repeats, --val-fraction, "
                "--rows and --seed, or use --method mean"
            )
