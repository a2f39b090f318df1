"""The most confident errors and the least confident correct predictions."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.metrics.predictions import Prediction, notable_predictions
from tests.support.probabilities import with_confidence


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


@pytest.mark.parametrize(
    ("confidence", "text"),
    [(0.5, "50.0 %"), (0.9732, "97.3 %"), (0.99996, "99.99 %"), (1.0, "100 %")],
)
def test_confidence_below_1_is_never_shown_as_100_percent(confidence: float, text: str) -> None:
    assert Prediction(0, 1, 2, confidence, 3).confidence_text == text
