"""How sure a model says it is, against how often it is right: one temperature puts it straight.

A network trained to the end is surer than it is right, an average of networks less sure. Dividing
the logits by one number that is learnt on held-out rows mends most of it and changes no answer
(Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, section 4.2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.metrics.scores import SMALLEST_PROBABILITY, predicted_rows, score

# Beyond these a temperature is learnt from a handful of rows, not from how sure a model is.
COOLEST, HOTTEST = 0.2, 5.0
# A float32 probability of 0 is one too small to be written, and is taken for the smallest that can
# be: a larger floor would lend ten sure digits some of their certainty as soon as T > 1.
SMALLEST_WRITTEN = float(np.finfo(np.float32).tiny)


def temperature(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The T between 0.2 and 5 that minimises the log loss of softmax(log p / T).

    The log loss is that of ``scores.score``, with nothing quite impossible: one label error on
    which a model is entirely sure must not set the temperature of all other rows.

    Args:
        probabilities: (n, 10) float32 that the model gave to rows it was not trained on; rows of
            NaN (never validated) are left out.
        labels: (n,) whole numbers 0 to 9.

    Returns:
        T: above 1 where the model is too sure, below 1 where it is not sure enough, and exactly 1
        where there is no row to learn on or no other T has a lower log loss.

    Raises:
        RunError: the two differ in length.
    """
    from scipy.optimize import minimize_scalar

    as_given = score(probabilities, labels)
    if as_given is None:
        return 1.0
    rows = predicted_rows(probabilities)
    logits, truth = _logits(probabilities[rows]), labels[rows]
    of_truth = logits[np.arange(len(rows)), truth]

    def loss(log_temperature: float) -> float:
        cooling = math.exp(-log_temperature)
        chance = np.exp(cooling * of_truth) / np.exp(cooling * logits).sum(axis=1)
        return float(-np.log(np.maximum(chance, SMALLEST_PROBABILITY)).mean())

    bounds = (math.log(COOLEST), math.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return math.exp(found.x) if found.fun < as_given.log_loss else 1.0


def apply_temperature(
    probabilities: NDArray[np.floating], temperature: float
) -> NDArray[np.float32]:
    """softmax(log p / T): flatter for T > 1, sharper for T < 1, the same digit in front.

    Args:
        probabilities: (n, 10); 0 is allowed.
        temperature: T > 0.

    Returns:
        (n, 10) float32, each row summing to 1 with its largest value where it was; the very values
        that came in for T = 1. Rows of NaN stay NaN.

    Raises:
        UsageError: T is not a finite number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(f"a temperature of {temperature} is no number above 0; 1 changes nothing")
    if temperature == 1:
        return np.array(probabilities, np.float32)
    powers = np.exp(_logits(probabilities) / temperature)
    tempered = np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    # Two digits that nearly tied may do so exactly once rounded; the one in front stays in front.
    rows = np.arange(len(tempered))
    winners = np.argmax(probabilities, axis=1)
    overtaken = rows[tempered.argmax(axis=1) != winners]
    ahead = np.nextafter(tempered[overtaken].max(axis=1), np.float32(1))
    tempered[overtaken, winners[overtaken]] = ahead
    return tempered


def _logits(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, 10) log p, in float64, with the largest of each row at 0."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_WRITTEN))
    return np.asarray(logs - logs.max(axis=1, keepdims=True))
