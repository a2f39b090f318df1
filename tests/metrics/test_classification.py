"""Metrics of classes and pairs, and notable predictions, compared with values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.classification import (
    Prediction,
    class_metrics,
    compute_metrics,
    confused_pairs,
    notable_predictions,
)
from tests.support.probabilities import with_confidence


def test_class_metrics_by_hand_and_for_digits_that_never_occur() -> None:
    metrics = class_metrics(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    assert metrics[0].precision == 1
    assert metrics[0].recall == pytest.approx(2 / 3)
    assert metrics[0].f1 == pytest.approx(0.8)
    assert (metrics[1].precision, metrics[1].support, metrics[1].right) == (0.5, 1, 1)
    assert (metrics[7].precision, metrics[7].recall, metrics[7].ci95, metrics[7].f1) == (None,) * 4


def test_confused_pairs_count_both_directions_most_errors_first() -> None:
    confusion = np.zeros((10, 10), np.int64)
    confusion[4, 9], confusion[9, 4], confusion[3, 5], confusion[2, 2] = 2, 1, 2, 99
    pairs = confused_pairs(confusion)
    assert [(p.low, p.high, p.low_as_high, p.high_as_low) for p in pairs] == [
        (4, 9, 2, 1),
        (3, 5, 2, 0),
    ]
    assert pairs[0].count == 3


def test_all_metrics_are_consistent(dataset: Dataset, oof: NDArray[np.float32]) -> None:
    metrics = compute_metrics(oof, dataset.labels)
    errors = metrics.score.n - int(np.trace(metrics.confusion))
    assert metrics.confusion.sum() == metrics.score.n == len(oof)
    assert errors == sum(pair.count for pair in metrics.pairs)
    assert sum(item.right for item in metrics.classes) == metrics.score.n - errors
    assert metrics.score.ci95[0] < metrics.score.accuracy < metrics.score.ci95[1]
    for item in metrics.classes:
        assert item.recall is not None
        assert item.ci95 is not None
        assert item.ci95[0] <= item.recall <= item.ci95[1]


def test_no_predictions_are_refused() -> None:
    with pytest.raises(RunError, match="no predictions"):
        compute_metrics(np.empty((0, 10), np.float32), np.empty(0, np.uint8))


def test_errors_and_correct_predictions_are_ordered_by_confidence() -> None:
    probabilities = with_confidence([(1, 0.6), (2, 0.99), (3, 0.9), (4, 0.3), (5, 0.8)])
    labels = np.array([1, 7, 8, 4, 5])
    rows = np.array([10, 20, 30, 40, 50])
    errors, correct = notable_predictions(probabilities, labels, rows, 2)
    assert [(p.row, p.line, p.label, p.predicted) for p in errors] == [
        (20, 22, 7, 2),
        (30, 32, 8, 3),
    ]
    assert errors[0].confidence == pytest.approx(0.99)
    assert [(p.row, p.predicted, p.second) for p in correct] == [(40, 4, 0), (10, 1, 0)]


def test_lines_of_the_file_are_those_of_its_rows() -> None:
    probabilities = with_confidence([(1, 0.6), (2, 0.99)])
    lines = np.array([2, 3, 7])
    errors, _ = notable_predictions(probabilities, np.array([0, 0]), np.array([0, 2]), 2, lines)
    assert [(p.row, p.line) for p in errors] == [(2, 7), (0, 2)]


@pytest.mark.parametrize(
    ("confidence", "text"),
    [(0.5, "50.0 %"), (0.9732, "97.3 %"), (0.99996, "99.99 %"), (1.0, "100 %")],
)
def test_confidence_below_1_is_never_shown_as_100_percent(confidence: float, text: str) -> None:
    assert Prediction(0, 1, 2, confidence, 3, 2).confidence_text == text
