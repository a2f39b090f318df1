"""Combine the probabilities of several runs: mean, vote, weighted mean, stacking.

A ``Fitter`` fits a ``Combiner`` on out-of-fold probabilities. Mean and vote need no fitting.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES, Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.metrics.scores import SMALLEST_PROBABILITY

# Inverse regularization strength of the stack: strong, because the 10 features of a run are nearly
# collinear and the runs nearly agree.
STACK_C = 0.01

# (runs, n, 10) float32 → (n, 10) float32
Combiner = Callable[[NDArray[np.float32]], Probabilities]
# (runs, n, 10) float32 out-of-fold probabilities, (n,) labels → Combiner
Fitter = Callable[[NDArray[np.float32], Labels], Combiner]


def mean(probabilities: NDArray[np.float32]) -> Probabilities:
    """Return the unweighted mean over runs: (runs, n, 10) → (n, 10) float32."""
    return np.asarray(probabilities.mean(axis=0, dtype=np.float64), np.float32)


def weighted_mean(
    probabilities: NDArray[np.floating],
    weights: Sequence[float] | NDArray[np.float64],
    temperatures: Sequence[float] | None = None,
) -> Probabilities:
    """Return the weighted mean over runs: (runs, n, 10) → (n, 10) float32.

    ``weights``, (runs,), are at least 0 and sum to 1; ``temperatures``, (runs,) above 0, are
    applied to the runs first.
    """
    if temperatures is not None:
        probabilities = apply_temperatures(probabilities, temperatures)
    return np.tensordot(np.asarray(weights, np.float64), probabilities, 1).astype(np.float32)


def apply_temperatures(
    probabilities: NDArray[np.floating], temperatures: Sequence[float]
) -> NDArray[np.float32]:
    """Apply to each run its own temperature: (runs, n, 10) → (runs, n, 10) float32."""
    pairs = zip(probabilities, temperatures, strict=True)
    return np.stack([apply_temperature(run, temperature) for run, temperature in pairs])


def vote(probabilities: NDArray[np.floating]) -> Probabilities:
    """Return shares of votes, (runs, n, 10) → (n, 10) float32; each run votes for its argmax.

    In a tie, the digit chosen by the earliest run gets a slightly larger share.
    """
    one_hot = np.eye(CLASSES, dtype=np.float32)[probabilities.argmax(axis=2)]
    return weighted_mean(one_hot, vote_weights(len(probabilities)))


def vote_weights(runs: int) -> NDArray[np.float64]:
    """Return the weight of each run's vote, (runs,) summing to 1.

    Earlier runs have a bonus that decides ties and is too small to outweigh a vote.
    """
    weights = 1 + 0.1 / runs * (1 - np.arange(runs) / runs)
    return np.asarray(weights / weights.sum())


def majority_vote(submissions: Sequence[Labels]) -> Labels:
    """Return the most frequent digit of each row: several (n,) uint8 → (n,) uint8.

    In a tie, the digit chosen by the earliest submission wins.
    """
    one_hot = np.eye(CLASSES, dtype=np.float32)
    shares = vote(np.stack([one_hot[labels] for labels in submissions]))
    return np.asarray(shares.argmax(axis=1), np.uint8)


def fit_weights(probabilities: NDArray[np.float32], labels: Labels) -> NDArray[np.float64]:
    """Return the weights, (runs,) summing to 1, that minimise the log loss of the weighted mean.

    ``probabilities`` are (runs, n, 10) out-of-fold probabilities.
    """
    from scipy.optimize import minimize
    from scipy.special import softmax
    from threadpoolctl import threadpool_limits

    of_truth = probabilities[:, np.arange(len(labels)), labels].astype(np.float64)

    def log_loss(logits: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = softmax(logits)
        likelihood = np.maximum(weights @ of_truth, SMALLEST_PROBABILITY)
        slope = -(of_truth / likelihood).mean(axis=1)
        return float(-np.log(likelihood).mean()), weights * (slope - weights @ slope)

    start = np.zeros(len(probabilities))
    with threadpool_limits(1):
        result = minimize(log_loss, start, jac=True, method="L-BFGS-B")
    return np.asarray(softmax(result.x))


def fit_stack(probabilities: NDArray[np.float32], labels: Labels) -> "partial[Probabilities]":
    """Fit a logistic regression on the runs' log-probabilities (stacking, Wolpert 1992).

    ``probabilities`` are (runs, n, 10) out-of-fold probabilities. Returns ``stack`` with its
    ``coefficients``. Digits that do not occur in ``labels``, (n,) uint8, get probability 0.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features = _log_features(probabilities)
    # Centring and scaling, with the penalty scaled alike, keeps the minimum and takes 42 iterations
    # instead of 175 on six runs of the competition's digits. Each left-out run takes five fits.
    offset, scale = features.mean(axis=0), features.std()
    model = LogisticRegression(C=STACK_C * scale**2, max_iter=1000, tol=1e-5)
    # The matrices are small: beside trainings on the same two cores, BLAS threads that wait for
    # each other made a fit take 12 seconds instead of 0.2.
    with threadpool_limits(1):
        model.fit((features - offset) / scale, labels)
    coefficients = np.zeros((features.shape[1] + 1, CLASSES))
    coefficients[-1] = -np.inf
    classes = model.classes_.astype(int)
    coefficients[-1, classes] = 0
    fitted = classes[-len(model.coef_) :]  # of two digits, only the second has coefficients
    coefficients[:-1, fitted] = model.coef_.T / scale
    coefficients[-1, fitted] = model.intercept_ - offset @ coefficients[:-1, fitted]
    return partial(stack, coefficients=coefficients)


def stack(probabilities: NDArray[np.floating], coefficients: NDArray[np.float64]) -> Probabilities:
    """Return softmax(log-probabilities · coefficients): (runs, n, 10) → (n, 10) float32.

    ``coefficients`` are (10 · runs + 1, 10), the intercepts last; that of a digit with probability
    0 is −∞.
    """
    from scipy.special import softmax

    logits = _log_features(probabilities) @ coefficients[:-1] + coefficients[-1]
    return np.asarray(softmax(logits, axis=1), np.float32)


def _log_features(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return log-probabilities as features: (runs, n, 10) → (n, runs × 10)."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    return logs.transpose(1, 0, 2).reshape(probabilities.shape[1], -1)


FITTERS: dict[str, Fitter] = {
    "mean": lambda _probabilities, _labels: mean,
    "vote": lambda _probabilities, _labels: vote,
    "weighted": lambda probabilities, labels: partial(
        weighted_mean, weights=fit_weights(probabilities, labels)
    ),
    "stack": fit_stack,
}
METHODS = tuple(FITTERS)
