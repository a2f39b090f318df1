"""Metrics of each digit and each pair of digits, and single predictions worth looking at."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES, Labels
from kaggle_digits.metrics import calibration
from kaggle_digits.metrics.calibration import CalibrationCurve, apply_temperature, calibration_curve
from kaggle_digits.metrics.scores import Score, score_or_raise, wilson_interval


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one digit: ``right`` of the ``support`` rows with this label are correct.

    Precision, recall (the accuracy on this digit), its 95 % Wilson interval ``ci95`` and F1 are
    None if they are undefined: without a row predicted as this digit, or with this label.
    """

    digit: int
    support: int
    right: int
    precision: float | None
    recall: float | None
    ci95: tuple[float, float] | None
    f1: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """Two digits, the number of rows of each predicted as the other, and the sum of both."""

    low: int
    high: int
    low_as_high: int
    high_as_low: int
    count: int


@dataclass(frozen=True)
class Metrics:
    """All metrics on held-out rows.

    ``classes`` are those of each digit, 0 to 9; ``confusion`` is (10, 10), rows true labels,
    columns predictions; ``pairs`` are the digits confused at least once, most errors first.
    ``calibrated`` is the calibration after dividing the logits by ``temperature``, which is fitted
    to the same rows.
    """

    score: Score
    calibration: CalibrationCurve
    temperature: float
    calibrated: CalibrationCurve
    classes: tuple[ClassMetrics, ...]
    confusion: NDArray[np.int64]
    pairs: tuple[ConfusedPair, ...]


def compute_metrics(probabilities: NDArray[np.floating], labels: Labels) -> Metrics:
    """Compute all metrics of ``probabilities`` (n, 10), no NaN, and ``labels`` (n,), 0 to 9.

    Raises RunError if there are no rows, or the two differ in length.
    """
    from sklearn.metrics import confusion_matrix

    score = score_or_raise(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    confusion = np.asarray(confusion_matrix(labels, predicted, labels=range(CLASSES)), np.int64)
    temperature = calibration.fit_temperature(probabilities, labels)
    before, after = (
        calibration_curve(apply_temperature(probabilities, t), labels) for t in (1.0, temperature)
    )
    classes, pairs = class_metrics(labels, predicted), confused_pairs(confusion)
    return Metrics(score, before, temperature, after, classes, confusion, pairs)


def class_metrics(labels: Labels, predicted: Labels) -> tuple[ClassMetrics, ...]:
    """Compute the metrics of each digit from (n,) true and predicted digits, 0 to 9."""
    from sklearn.metrics import precision_recall_fscore_support

    table = precision_recall_fscore_support(
        labels, predicted, labels=range(CLASSES), zero_division=np.nan
    )
    metrics = []
    for digit, (*values, rows) in enumerate(zip(*table, strict=True)):
        precision, recall, f1 = (None if np.isnan(value) else float(value) for value in values)
        support, right = int(rows), int(((labels == digit) & (predicted == digit)).sum())
        interval = wilson_interval(right, support) if support else None
        metrics.append(ClassMetrics(digit, support, right, precision, recall, interval, f1))
    return tuple(metrics)


def confused_pairs(confusion: NDArray[np.int64]) -> tuple[ConfusedPair, ...]:
    """Return the pairs of digits with errors in a (10, 10) confusion matrix, most errors first."""
    pairs = []
    for low, high in combinations(range(CLASSES), 2):
        low_as_high, high_as_low = int(confusion[low, high]), int(confusion[high, low])
        if count := low_as_high + high_as_low:
            pairs.append(ConfusedPair(low, high, low_as_high, high_as_low, count))
    return tuple(sorted(pairs, key=lambda pair: -pair.count))


@dataclass(frozen=True)
class Prediction:
    """The prediction for one row of train.csv, counted from 0.

    ``predicted`` is the most probable digit, ``confidence`` its probability, 0 to 1, and ``second``
    the second most probable digit. ``line`` is the row's line in the file, counted from 1.
    """

    row: int
    label: int
    predicted: int
    confidence: float
    second: int
    line: int

    @property
    def confidence_text(self) -> str:
        """The confidence as "97.3 %", rounded down near 1: 0.99996 is "99.99 %", not "100 %"."""
        if self.confidence >= 1:
            return "100 %"
        if self.confidence > 0.999:
            return f"{math.floor(self.confidence * 10_000) / 100:.2f} %"
        return f"{100 * self.confidence:.1f} %"


def notable_predictions(
    probabilities: NDArray[np.floating],
    labels: Labels,
    rows: NDArray[np.integer],
    limit: int,
    lines: NDArray[np.int64] | None = None,
) -> tuple[tuple[Prediction, ...], tuple[Prediction, ...]]:
    """Return the most confident errors and the least confident correct predictions.

    At most ``limit`` of each. ``probabilities`` are (n, 10) without NaN, ``labels`` (n,) 0 to 9;
    ``rows`` (n,) are the rows of train.csv, from 0, and ``lines`` are those of ``Digits``.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    ascending = np.argsort(confidence, kind="stable")
    descending = np.argsort(-confidence, kind="stable")
    errors = descending[~correct[descending]][:limit]
    unsure = ascending[correct[ascending]][:limit]
    return (
        predictions_at(probabilities, labels, rows, errors, lines),
        predictions_at(probabilities, labels, rows, unsure, lines),
    )


def predictions_at(
    probabilities: NDArray[np.floating],
    labels: Labels,
    rows: NDArray[np.integer],
    positions: NDArray[np.integer],
    lines: NDArray[np.int64] | None = None,
) -> tuple[Prediction, ...]:
    """Return the predictions at ``positions`` (indices into the other arrays), in that order."""
    # A stable sort of the negated values: of equal probabilities the first wins, as in argmax.
    ranked = np.argsort(-probabilities[positions], axis=1, kind="stable")
    predictions = []
    for i, (first, second) in zip(positions, ranked[:, :2], strict=True):
        confidence = float(probabilities[i, first])
        row, label = int(rows[i]), int(labels[i])
        line = row + 2 if lines is None else int(lines[row])
        predictions.append(Prediction(row, label, int(first), confidence, int(second), line))
    return tuple(predictions)
