"""Calibration: how well confidence matches accuracy, and temperature scaling to improve it.

Networks trained to convergence are overconfident; averages of networks are underconfident.
Dividing the logits by one temperature fitted on held-out rows corrects most of it and changes no
prediction (Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.metrics.scores import SMALLEST_PROBABILITY, predicted_rows, score

BINS = 15
# A temperature outside these bounds was fitted to a handful of rows.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.2, 5.0
# A float32 probability of 0 is one too small to represent. SMALLEST_PROBABILITY would be too large
# a substitute here: with T > 1 it would take probability from predictions that are certain.
SMALLEST_FLOAT32 = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class CalibrationCurve:
    """Mean confidence and accuracy in 15 equally wide bins of confidence.

    ``counts`` are the rows of each bin; the means are NaN in an empty one. ``error`` is the
    expected calibration error, 0 (perfect) to 1.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: float


def calibration_curve(probabilities: NDArray[np.floating], labels: Labels) -> CalibrationCurve:
    """Compute the calibration curve and the expected calibration error.

    The error is the mean of |accuracy − confidence| over the bins ((m − 1)/15, m/15], weighted by
    their rows (Guo et al. 2017, equations 2 to 5). ``probabilities`` (n, 10) must not contain NaN.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.digitize(confidence, np.arange(1, BINS) / BINS, right=True)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        mean_confidence = np.bincount(bins, confidence, BINS) / counts
        accuracy = np.bincount(bins, correct, BINS) / counts
    gaps = np.nan_to_num(np.abs(accuracy - mean_confidence))
    error = float((counts * gaps).sum() / len(labels))
    return CalibrationCurve(counts.astype(np.int64), mean_confidence, accuracy, error)


def fit_temperature(probabilities: NDArray[np.floating], labels: Labels) -> float:
    """Return the T between 0.2 and 5 that minimises the log loss of softmax(log p / T).

    It is above 1 for an overconfident model, below 1 for an underconfident one, and exactly 1 if no
    row has a prediction or no other T has a lower log loss. The log loss is clipped as in
    ``scores.score``, so that one wrong label on which a model is certain does not determine T.

    ``probabilities`` (n, 10) are of rows that the model was not trained on; rows of NaN are left
    out. Raises RunError if ``labels``, (n,) integers 0 to 9, differ in length.
    """
    from scipy.optimize import minimize_scalar

    unscaled = score(probabilities, labels)
    if unscaled is None:
        return 1.0
    rows = predicted_rows(probabilities)
    logits = _logits(probabilities[rows])
    of_truth = logits[np.arange(len(rows)), labels[rows]]

    def log_loss(log_temperature: float) -> float:
        factor = math.exp(-log_temperature)
        likelihood = np.exp(factor * of_truth) / np.exp(factor * logits).sum(axis=1)
        return float(-np.log(np.maximum(likelihood, SMALLEST_PROBABILITY)).mean())

    bounds = (math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))
    result = minimize_scalar(log_loss, bounds=bounds, method="bounded")
    return math.exp(result.x) if result.fun < unscaled.log_loss else 1.0


def apply_temperature(probabilities: NDArray[np.floating], temperature: float) -> Probabilities:
    """Return softmax(log p / T): flatter for T > 1, sharper for T < 1, the same argmax.

    Both p, which may be 0, and the result are (n, 10). T = 1 gives a copy with the same values.
    Rows of NaN stay NaN. Raises UsageError if T is not a finite number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(f"temperature {temperature} must be a finite number above 0")
    if temperature == 1:
        return np.array(probabilities, np.float32)
    powers = np.exp(_logits(probabilities) / temperature)
    scaled = np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    # Rounding to float32 can turn a narrow lead into a tie; restore the lead of the winner.
    rows = np.arange(len(scaled))
    winners = np.argmax(probabilities, axis=1)
    tied = rows[scaled.argmax(axis=1) != winners]
    scaled[tied, winners[tied]] = np.nextafter(scaled[tied].max(axis=1), np.float32(1))
    return scaled


def _logits(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (n, 10) float64 log p, shifted so that the largest of each row is 0."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_FLOAT32))
    return np.asarray(logs - logs.max(axis=1, keepdims=True))
