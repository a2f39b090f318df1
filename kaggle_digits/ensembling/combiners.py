"""The ways to make one set of probabilities of several: mean, votes, weighted mean, stacking.

Each is learnt by a ``Learn`` from rows that no run was trained on, and is then a ``Combine``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.runs.run import Probabilities

Method = Literal["mean", "vote", "weighted", "stack"]
METHODS: tuple[str, ...] = get_args(Method)
SMALLEST_PROBABILITY = 1e-7
# How freely a stack may weigh log-probabilities: little, since ten of each run nearly say the same.
STACK_C = 0.01

# (runs, n, 10) float32 → (n, 10) float32
Combine = Callable[[NDArray[np.float32]], Probabilities]
# (runs, n, 10) float32 out-of-fold probabilities, (n,) labels → Combine
Learn = Callable[[NDArray[np.float32], NDArray[np.uint8]], Combine]


def mean(probabilities: NDArray[np.float32]) -> Probabilities:
    """(runs, n, 10) → (n, 10) float32, every run weighing the same."""
    return np.asarray(probabilities.mean(axis=0, dtype=np.float64), np.float32)


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


def weighted(weights: NDArray[np.float64]) -> Combine:
    """The mean with ``weights``: (runs,) ≥ 0 summing to 1."""
    return lambda probabilities: np.tensordot(weights, probabilities, 1).astype(np.float32)


def best_weights(known: NDArray[np.float32], truth: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Weights ≥ 0 summing to 1 that minimise the log loss of the weighted mean.

    Args:
        known: (runs, n, 10) out-of-fold probabilities.
        truth: (n,) labels.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    of_truth = known[:, np.arange(len(truth)), truth].astype(np.float64)

    def loss(logits: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        mixed = np.maximum(weights @ of_truth, SMALLEST_PROBABILITY)
        slope = -(of_truth / mixed).mean(axis=1)
        return float(-np.log(mixed).mean()), weights * (slope - weights @ slope)

    with threadpool_limits(1):
        found = minimize(loss, np.zeros(len(known)), jac=True, method="L-BFGS-B")
    weights = np.exp(found.x - found.x.max())
    return np.asarray(weights / weights.sum())


def learn_weights(known: NDArray[np.float32], truth: NDArray[np.uint8]) -> Combine:
    """The weighted mean by ``best_weights``."""
    return weighted(best_weights(known, truth))


def learn_stack(known: NDArray[np.float32], truth: NDArray[np.uint8]) -> Combine:
    """Stacking: logistic regression on the runs' log-probabilities (Wolpert 1992)."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features = _log_features(known)
    # Centred and brought to scale, with the penalty brought along: the same minimum, in 42 steps
    # instead of 175 on six runs of the competition's digits. Every run left out takes five fits.
    middle, scale = features.mean(axis=0), features.std()
    model = LogisticRegression(C=STACK_C * scale**2, max_iter=1000, tol=1e-5)
    # The matrices are narrow: beside trainings on the same two cores, threads that wait for each
    # other made a fit 12 seconds instead of 0.2.
    with threadpool_limits(1):
        model.fit((features - middle) / scale, truth)
    classes = model.classes_.astype(int)

    def stack(probabilities: NDArray[np.float32]) -> Probabilities:
        predicted = np.zeros((probabilities.shape[1], CLASSES), np.float32)
        scaled = (_log_features(probabilities) - middle) / scale
        predicted[:, classes] = model.predict_proba(scaled)
        return predicted

    return stack


def _log_features(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """(runs, n, 10) → (n, runs × 10) log-probabilities."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    return logs.transpose(1, 0, 2).reshape(probabilities.shape[1], -1)


# A mean and a vote learn nothing.
LEARNERS: dict[str, Learn] = {
    "mean": lambda _known, _truth: mean,
    "vote": lambda _known, _truth: vote,
    "weighted": learn_weights,
    "stack": learn_stack,
}
