"""What predictions on labelled rows say about a model, beyond its accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.metrics.scores import Score, score, wilson

BINS = 15


@dataclass(frozen=True)
class ClassScore:
    """How one digit is read.

    Attributes:
        digit: 0 to 9.
        support: rows that truly are this digit.
        right: how many of them were read as it.
        precision: share of the rows read as this digit that are it; None where none was.
        recall: ``right / support``, the accuracy on this digit; None where there are no rows.
        ci95: the recall's 95 % Wilson interval; None where there are no rows.
        f1: harmonic mean of precision and recall; None where neither is known.
    """

    digit: int
    support: int
    right: int
    precision: float | None
    recall: float | None
    ci95: tuple[float, float] | None
    f1: float | None


@dataclass(frozen=True)
class Calibration:
    """Whether a model that says 90 % is right in 90 of 100 cases.

    Attributes:
        counts: (15,) int64, rows whose confidence lies in each of 15 equally wide bins.
        confidence: (15,) float64, their mean confidence; NaN in an empty bin.
        accuracy: (15,) float64, the share of them that is right; NaN in an empty bin.
        error: the expected calibration error, 0 (perfect) to 1.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: float


@dataclass(frozen=True)
class Pair:
    """Two digits taken for one another: ``low`` read as ``high``, and the other way round."""

    low: int
    high: int
    low_as_high: int
    high_as_low: int

    @property
    def count(self) -> int:
        """Mistakes in both directions."""
        return self.low_as_high + self.high_as_low


@dataclass(frozen=True)
class Metrics:
    """Everything measured on the rows that were held out.

    Attributes:
        score: accuracy with its interval, log loss, rows.
        calibration: confidence against accuracy.
        classes: one entry a digit.
        confusion: (10, 10) int64, rows true, columns predicted.
        pairs: digits taken for one another, most mistakes first; those never confused left out.
    """

    score: Score
    calibration: Calibration
    classes: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]
    pairs: tuple[Pair, ...]


def measure(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Metrics:
    """Measure predictions.

    Args:
        probabilities: (n, 10), no NaN, at least one row.
        labels: (n,) whole numbers 0 to 9.

    Raises:
        RunError: there are no rows, or the two differ in length.
    """
    from sklearn.metrics import confusion_matrix

    total = score(probabilities, labels)
    if total is None:
        raise RunError("there are no predictions to measure")
    predicted = probabilities.argmax(axis=1)
    matrix = np.asarray(confusion_matrix(labels, predicted, labels=range(CLASSES)), np.int64)
    return Metrics(
        total,
        calibration(probabilities, labels),
        class_scores(labels, predicted),
        matrix,
        confused_pairs(matrix),
    )


def calibration(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Calibration:
    """Expected calibration error over 15 equally wide bins of confidence.

    The share-weighted mean of |accuracy − confidence| over the bins ((m − 1)/15, m/15]:
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equations 2 to 5.

    Args:
        probabilities: (n, 10), no NaN.
        labels: (n,) whole numbers 0 to 9.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    inner_edges = np.arange(1, BINS) / BINS
    bins = np.digitize(confidence, inner_edges, right=True)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bins, confidence, BINS) / counts
        accuracy = np.bincount(bins, right, BINS) / counts
    gaps = np.nan_to_num(np.abs(accuracy - mean_confidence))
    error = float((counts * gaps).sum() / len(labels))
    return Calibration(counts.astype(np.int64), mean_confidence, accuracy, error)


def class_scores(
    labels: NDArray[np.integer], predicted: NDArray[np.integer]
) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each digit, as scikit-learn computes them.

    Args:
        labels: (n,) whole numbers 0 to 9, true.
        predicted: (n,) whole numbers 0 to 9.
    """
    from sklearn.metrics import precision_recall_fscore_support

    table = precision_recall_fscore_support(
        labels, predicted, labels=range(CLASSES), zero_division=np.nan
    )
    scores = []
    for digit, (precision, recall, f1, support) in enumerate(zip(*table, strict=True)):
        right = int(((labels == digit) & (predicted == digit)).sum())
        scores.append(
            ClassScore(
                digit,
                int(support),
                right,
                _known(precision),
                _known(recall),
                wilson(right, int(support)) if support else None,
                _known(f1),
            )
        )
    return tuple(scores)


def confused_pairs(confusion: NDArray[np.int64]) -> tuple[Pair, ...]:
    """The pairs of digits in a (10, 10) confusion matrix, most mistakes first."""
    pairs = [
        Pair(low, high, int(confusion[low, high]), int(confusion[high, low]))
        for low in range(CLASSES)
        for high in range(low + 1, CLASSES)
    ]
    return tuple(sorted((p for p in pairs if p.count), key=lambda p: (-p.count, p.low, p.high)))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
