"""Metrics against figures worked out by hand and by other means."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.classification import calibration, class_scores, confused_pairs, measure
from kaggle_digits.metrics.predictions import Answer, doubtful_right, worst_mistakes


def sure_of(answers: list[tuple[int, float]]) -> NDArray[np.float32]:
    """Probabilities that give each (digit, confidence) and share the rest equally."""
    table = np.empty((len(answers), 10), np.float32)
    for row, (digit, confidence) in zip(table, answers, strict=True):
        row[:] = (1 - confidence) / 9
        row[digit] = confidence
    return table


def test_calibration_error_by_hand() -> None:
    # Four answers at 0.9 of which two are right, four at 0.5 of which two are right.
    probabilities = sure_of([(1, 0.9)] * 4 + [(2, 0.5)] * 4)
    labels = np.array([1, 1, 3, 3, 2, 2, 3, 3])
    found = calibration(probabilities, labels)
    assert found.error == pytest.approx(0.5 * 0.4 + 0.5 * 0.0, abs=1e-6)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0]


def test_a_certain_answer_falls_into_the_last_bin() -> None:
    found = calibration(sure_of([(4, 1.0)]), np.array([4]))
    assert found.counts[-1] == 1
    assert found.error == 0


def test_calibration_error_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(10, 0.2), 2000).astype(np.float32)
    labels = rng.integers(0, 10, 2000)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration(probabilities, labels).error == pytest.approx(expected, abs=1e-6)


def test_class_scores_by_hand_and_for_digits_that_never_occur() -> None:
    scores = class_scores(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    assert scores[0].precision == 1
    assert scores[0].recall == pytest.approx(2 / 3)
    assert scores[0].f1 == pytest.approx(0.8)
    assert (scores[1].precision, scores[1].support, scores[1].right) == (0.5, 1, 1)
    assert (scores[7].precision, scores[7].recall, scores[7].ci95, scores[7].f1) == (None,) * 4


def test_pairs_count_both_directions_most_first() -> None:
    matrix = np.zeros((10, 10), np.int64)
    matrix[4, 9], matrix[9, 4], matrix[3, 5], matrix[2, 2] = 2, 1, 2, 99
    pairs = confused_pairs(matrix)
    assert [(p.low, p.high, p.low_as_high, p.high_as_low) for p in pairs] == [
        (4, 9, 2, 1),
        (3, 5, 2, 0),
    ]
    assert pairs[0].count == 3


def test_measure_hangs_together(dataset: Dataset, oof: NDArray[np.float32]) -> None:
    found = measure(oof, dataset.labels)
    wrong = found.score.n - int(np.trace(found.confusion))
    assert found.confusion.sum() == found.score.n == len(oof)
    assert wrong == sum(pair.count for pair in found.pairs)
    assert sum(item.right for item in found.classes) == found.score.n - wrong
    assert found.score.ci95[0] < found.score.accuracy < found.score.ci95[1]
    for item in found.classes:
        assert item.recall is not None
        assert item.ci95 is not None
        assert item.ci95[0] <= item.recall <= item.ci95[1]


def test_nothing_to_measure() -> None:
    with pytest.raises(RunError, match="no predictions"):
        measure(np.empty((0, 10), np.float32), np.empty(0, np.uint8))


def test_answers_worth_looking_at() -> None:
    probabilities = sure_of([(1, 0.6), (2, 0.99), (3, 0.9), (4, 0.3), (5, 0.8)])
    labels = np.array([1, 7, 8, 4, 5])
    rows = np.array([10, 20, 30, 40, 50])
    worst = worst_mistakes(probabilities, labels, rows, 5)
    assert [(a.row, a.line, a.label, a.predicted) for a in worst] == [
        (20, 22, 7, 2),
        (30, 32, 8, 3),
    ]
    assert worst[0].confidence == pytest.approx(0.99)
    doubtful = doubtful_right(probabilities, labels, rows, 2)
    assert [(a.row, a.predicted, a.second) for a in doubtful] == [(40, 4, 0), (10, 1, 0)]


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(0.5, "50.0 %"), (0.9732, "97.3 %"), (0.99996, "99.99 %"), (1.0, "100 %")],
)
def test_almost_certain_is_not_certain(confidence: float, words: str) -> None:
    assert Answer(0, 1, 2, confidence, 3).sureness == words
