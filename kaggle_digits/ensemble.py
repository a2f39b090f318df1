"""Several runs → one set of probabilities; what is learnt is learnt on out-of-fold rows only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.errors import RunError, UsageError
from kaggle_digits.runs import Probabilities, Run
from kaggle_digits.scores import Score, predicted_rows, score

Method = Literal["mean", "vote", "weighted", "stack"]
METHODS: tuple[str, ...] = get_args(Method)
LEARNT = ("weighted", "stack")
# Folds by which a learnt combination is judged: each row by a combination that never saw it.
JUDGING_FOLDS = 5
SMALLEST_PROBABILITY = 1e-7

# (runs, n, 10) float32 → (n, 10) float32
Combine = Callable[[NDArray[np.float32]], Probabilities]


@dataclass(frozen=True)
class Ensemble:
    """Several runs put together.

    Attributes:
        test: (n_test, 10) float32 probabilities (for ``vote``: shares of votes).
        oof: (n_train, 10) float32, NaN where not every run has a prediction.
        score: of ``oof``; for learnt methods by cross-validation, so that no row is judged by
            weights that were learnt on it. None where no row is common.
        member_scores: of each run on the same rows.
        weights: (runs,) of ``weighted``, summing to 1; None for other methods.
    """

    test: Probabilities
    oof: Probabilities
    score: Score | None
    member_scores: list[Score | None]
    weights: list[float] | None


def ensemble_runs(runs: Sequence[Run], labels: NDArray[np.uint8], method: str) -> Ensemble:
    """Combine finished runs.

    Args:
        runs: at least two, trained on the same data; the first breaks ties of votes.
        labels: (n_train,) uint8.
        method: ``mean`` of probabilities, ``vote``, ``weighted`` mean, or ``stack`` (logistic
            regression on log-probabilities).

    Raises:
        UsageError: fewer than two runs or an unknown method.
        RunError: the runs were trained on other data than each other, or, for learnt methods, by
            other splits.
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
        RunError: a learnt method has no row that every run predicted.
    """
    stacked = np.stack(oofs)
    rows = predicted_rows(stacked.transpose(1, 0, 2).reshape(len(labels), -1))
    known, truth = stacked[:, rows], labels[rows]
    weights = None
    if method in LEARNT:
        if not len(rows):
            raise RunError(
                f"--method {method} learns on out-of-fold rows, and these runs have none in "
                "common; train them with the same --folds and --seed, or take --method mean"
            )
        learn = _learn_weights if method == "weighted" else _learn_stack
        judged = _cross_validated(learn, known, truth)
        if method == "weighted":
            learnt = best_weights(known, truth)
            combined, weights = _weighted(learnt), learnt.tolist()
        else:
            combined = learn(known, truth)
    else:
        combined = _mean if method == "mean" else vote
        judged = combined(known)
    oof = np.full((len(labels), CLASSES), np.nan, np.float32)
    oof[rows] = judged
    return Ensemble(
        combined(np.stack(tests)),
        oof,
        score(oof, labels),
        [score(member, truth) for member in known],
        weights,
    )


def check_method(method: str) -> None:
    """Raise UsageError for a method that is not offered."""
    if method not in METHODS:
        raise UsageError(f"--method {method} is unknown; one of: {', '.join(METHODS)}")


def vote(probabilities: NDArray[np.float32]) -> Probabilities:
    """Shares of votes; a tie goes to the digit that the earliest run among the tied chose.

    Args:
        probabilities: (runs, n, 10); the largest of each row is its run's vote.

    Returns:
        (n, 10) float32 whose largest value is the winner.
    """
    votes = probabilities.argmax(axis=2)
    counts = np.stack([(votes == digit).sum(axis=0) for digit in range(CLASSES)], axis=1)
    shares = counts / len(votes)
    # A bonus too small to outweigh a vote, larger for earlier runs.
    for place, chosen in enumerate(votes):
        bonus = 0.1 / len(votes) * (1 - place / len(votes)) / len(votes)
        shares[np.arange(len(chosen)), chosen] += bonus
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def vote_labels(submissions: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(n,) labels by majority of finished submissions, each (n,); ties go to the earliest."""
    one_hot = np.eye(CLASSES, dtype=np.float32)
    winners = vote(np.stack([one_hot[labels] for labels in submissions])).argmax(axis=1)
    return np.asarray(winners, np.uint8)


def best_weights(known: NDArray[np.float32], truth: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Weights ≥ 0 summing to 1 that minimise the log loss of the weighted mean.

    Args:
        known: (runs, n, 10) out-of-fold probabilities.
        truth: (n,) labels.
    """
    from scipy.optimize import minimize

    of_truth = known[:, np.arange(len(truth)), truth].astype(np.float64)

    def loss(logits: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        mixed = np.maximum(weights @ of_truth, SMALLEST_PROBABILITY)
        slope = -(of_truth / mixed).mean(axis=1)
        return float(-np.log(mixed).mean()), weights * (slope - weights @ slope)

    found = minimize(loss, np.zeros(len(known)), jac=True, method="L-BFGS-B")
    weights = np.exp(found.x - found.x.max())
    return np.asarray(weights / weights.sum())


def _mean(probabilities: NDArray[np.float32]) -> Probabilities:
    return np.asarray(probabilities.mean(axis=0, dtype=np.float64), np.float32)


def _learn_weights(known: NDArray[np.float32], truth: NDArray[np.uint8]) -> Combine:
    return _weighted(best_weights(known, truth))


def _weighted(weights: NDArray[np.float64]) -> Combine:
    return lambda probabilities: np.tensordot(weights, probabilities, 1).astype(np.float32)


def _learn_stack(known: NDArray[np.float32], truth: NDArray[np.uint8]) -> Combine:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.01, max_iter=1000).fit(_log_features(known), truth)
    classes = model.classes_.astype(int)

    def stack(probabilities: NDArray[np.float32]) -> Probabilities:
        predicted = np.zeros((probabilities.shape[1], CLASSES), np.float32)
        predicted[:, classes] = model.predict_proba(_log_features(probabilities))
        return predicted

    return stack


def _log_features(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """(runs, n, 10) → (n, runs × 10) log-probabilities."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    return logs.transpose(1, 0, 2).reshape(probabilities.shape[1], -1)


def _cross_validated(
    learn: Callable[[NDArray[np.float32], NDArray[np.uint8]], Combine],
    known: NDArray[np.float32],
    truth: NDArray[np.uint8],
) -> Probabilities:
    from sklearn.model_selection import StratifiedKFold

    if np.bincount(truth).max(initial=0) < JUDGING_FOLDS:
        raise RunError(f"{len(truth)} out-of-fold rows are too few to learn from; --method mean")
    judged = np.empty(known.shape[1:], np.float32)
    folds = StratifiedKFold(JUDGING_FOLDS, shuffle=True, random_state=0)
    for learnt_on, judged_on in folds.split(truth, truth):
        judged[judged_on] = learn(known[:, learnt_on], truth[learnt_on])(known[:, judged_on])
    return judged


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
