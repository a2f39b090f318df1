"""Several runs → one set of probabilities; what is learnt is learnt on out-of-fold rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.ensembling.combiners import LEARNERS, METHODS, best_weights, weighted
from kaggle_digits.ensembling.cross_validation import (
    JUDGING_FOLDS,
    Gain,
    judge,
    judging_folds,
    member_gains,
    tempered,
)
from kaggle_digits.metrics.calibration import temperature
from kaggle_digits.metrics.scores import Score, predicted_rows, score
from kaggle_digits.runs.run import Probabilities, Run

# Whose runs' probabilities are averaged, and so must mean the same: each gets its temperature.
CALIBRATED = ("mean", "weighted")
LEARNT = ("weighted", "stack")


@dataclass(frozen=True)
class Ensemble:
    """Several runs put together.

    Attributes:
        test: (n_test, 10) float32 probabilities (for ``vote``: shares of votes).
        oof: (n_train, 10) float32, NaN where not every run has a prediction.
        score: of ``oof``, by cross-validation: no row is judged by temperatures or weights that
            were learnt on it. None where no row is common.
        member_scores: of each run as it stands, on the same rows.
        adds: what each run adds to the others, by the same method, on the same rows and
            cross-validated alike; None where no row is common.
        temperatures: (runs,) of ``mean`` and ``weighted``, each learnt on all out-of-fold rows of
            its run, 1 where it has none; None for other methods.
        weights: (runs,) of ``weighted``, summing to 1; None for other methods.
        weights_help: whether learnt weights have a lower cross-validated log loss than equal ones;
            where they have not, ``weights`` are equal. None for other methods than ``weighted``.
    """

    test: Probabilities
    oof: Probabilities
    score: Score | None
    member_scores: list[Score | None]
    adds: list[Gain] | None
    temperatures: list[float] | None
    weights: list[float] | None
    weights_help: bool | None


def ensemble_runs(runs: Sequence[Run], labels: NDArray[np.uint8], method: str) -> Ensemble:
    """Combine finished runs.

    Args:
        runs: at least two, trained on the same data; the first breaks ties of votes.
        labels: (n_train,) uint8.
        method: ``mean`` of probabilities after temperature, ``vote``, ``weighted`` mean after
            temperature, or ``stack`` (logistic regression on log-probabilities).

    Raises:
        UsageError: fewer than two runs or an unknown method.
        RunError: the runs were trained on other data than each other, or, for ``weighted`` and
            ``stack``, by other splits.
    """
    check_method(method)
    if len(runs) < 2:
        raise UsageError("an ensemble needs at least two runs: kd ensemble RUN RUN")
    _check_together(runs, method)
    return combine([run.oof() for run in runs], [run.test() for run in runs], labels, method)


def combine(
    oofs: Sequence[Probabilities],
    tests: Sequence[Probabilities],
    labels: NDArray[np.uint8],
    method: str,
) -> Ensemble:
    """Combine probabilities: ``oofs`` each (n_train, 10) with NaN rows, ``tests`` (n_test, 10).

    Raises:
        RunError: ``weighted`` or ``stack`` has too few rows that every run predicted.
    """
    stacked, tested = np.stack(oofs), np.stack(tests)
    rows = predicted_rows(stacked.transpose(1, 0, 2).reshape(len(labels), -1))
    truth = labels[rows]
    if method in LEARNT:
        _check_enough(truth, method)
    calibrated = method in CALIBRATED
    folds = judging_folds(stacked, labels, rows, calibrated=calibrated)
    judged, learn = judge(method, folds, truth, range(len(oofs)))
    known, temperatures = stacked[:, rows], None
    if calibrated:
        temperatures = [temperature(member, labels) for member in oofs]
        known, tested = tempered(known, temperatures), tempered(tested, temperatures)
    weights, weights_help = None, None
    if method == "weighted":
        weights_help = learn is LEARNERS["weighted"]
        equal = np.full(len(oofs), 1 / len(oofs))
        weights = best_weights(known, truth) if weights_help else equal
    combined = learn(known, truth) if weights is None else weighted(weights)
    oof = np.full((len(labels), CLASSES), np.nan, np.float32)
    oof[rows] = judged
    return Ensemble(
        test=combined(tested),
        oof=oof,
        score=score(judged, truth),
        member_scores=[score(member[rows], truth) for member in oofs],
        adds=member_gains(method, folds, truth, judged) if len(rows) else None,
        temperatures=temperatures,
        weights=None if weights is None else weights.tolist(),
        weights_help=weights_help,
    )


def check_method(method: str) -> None:
    """Raise UsageError for a method that is not offered."""
    if method not in METHODS:
        raise UsageError(f"--method {method} is unknown; one of: {', '.join(METHODS)}")


def _check_enough(truth: NDArray[np.uint8], method: str) -> None:
    if not len(truth):
        raise RunError(
            f"--method {method} learns on out-of-fold rows, and these runs have none in "
            "common; train them with the same --folds and --seed, or take --method mean"
        )
    if np.bincount(truth).max() < JUDGING_FOLDS:
        raise RunError(f"{len(truth)} out-of-fold rows are too few to learn from; --method mean")


def _check_together(runs: Sequence[Run], method: str) -> None:
    configs = [run.config() for run in runs]
    for run, config in zip(runs[1:], configs[1:], strict=True):
        for file in ("train", "test"):
            if config["data"][f"{file}_sha256"] != configs[0]["data"][f"{file}_sha256"]:
                raise RunError(
                    f"runs {runs[0].name} and {run.name} were trained with different {file}.csv; "
                    "an ensemble needs the same data"
                )
        if method in LEARNT and config["split_fingerprint"] != configs[0]["split_fingerprint"]:
            raise RunError(
                f"runs {runs[0].name} and {run.name} held out different rows, so --method "
                f"{method} cannot learn from them; train with the same --folds, --repeats, "
                "--val-fraction, --rows and --seed, or take --method mean"
            )
