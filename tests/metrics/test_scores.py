"""Accuracy with its interval, log loss, rows without a prediction, and McNemar's test."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from kaggle_digits.core.errors import RunError
from kaggle_digits.metrics.scores import (
    McNemarResult,
    mcnemar,
    predicted_rows,
    score,
    summarize_seeds,
    wilson_interval,
)


def test_score_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(10), 500)
    labels = rng.integers(0, 10, 500)
    result = score(probabilities, labels)
    assert result is not None
    assert result.accuracy == accuracy_score(labels, probabilities.argmax(1))
    assert result.log_loss == pytest.approx(
        log_loss(labels, probabilities, labels=range(10)), rel=1e-5
    )
    assert result.n == 500


def test_score_ignores_rows_without_a_prediction() -> None:
    probabilities = np.full((4, 10), np.nan, np.float32)
    assert score(probabilities, np.zeros(4, int)) is None
    probabilities[1] = np.eye(10)[3]
    probabilities[3] = np.eye(10)[0]
    result = score(probabilities, np.array([0, 3, 0, 1]))
    assert result is not None
    assert (result.accuracy, result.n) == (0.5, 2)
    assert predicted_rows(probabilities).tolist() == [1, 3]
    assert np.isfinite(result.log_loss), "a probability of 0 for the label must not be infinite"


def test_wilson_interval_matches_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 10)[0] == pytest.approx(0, abs=1e-12)
    assert wilson_interval(10, 10)[1] == pytest.approx(1)
    assert 0.6 < wilson_interval(10, 10)[0] < 1


def test_score_refuses_another_number_of_labels() -> None:
    with pytest.raises(RunError, match="trained on other data"):
        score(np.zeros((3, 10), np.float32), np.zeros(4, int))


def test_only_rows_on_which_one_model_is_correct_count() -> None:
    rows = np.arange(100)
    result = mcnemar(rows >= 8, ~np.isin(rows, [50, 51]))
    assert (result.gained, result.lost) == (8, 2)
    # Of 10 rows, 8 or more in one direction: (45 + 10 + 1) / 1024, and the same in the other.
    assert result.p_value == pytest.approx(2 * 56 / 1024)
    assert not result.significant
    assert McNemarResult(20, 2, 0.0001).significant


def test_equal_models_have_p_value_1() -> None:
    correct = np.arange(10) > 3
    assert mcnemar(correct, correct) == McNemarResult(0, 0, 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 0.5])
def test_predictions_that_are_no_probabilities_are_an_error(value: float) -> None:
    """They neither vanish from the accuracy nor count as errors."""
    probabilities = np.full((4, 10), 0.1)
    probabilities[0] = np.nan  # never validated
    probabilities[2, 3] = value
    with pytest.raises(RunError, match=r"cannot be evaluated: 1 of 4 rows, the first is row 2"):
        score(probabilities, np.zeros(4, int))


def test_seeds_are_summarized_with_an_honest_interval() -> None:
    runs = [{"val_accuracy": a, "n_val": 100, "n_train_rows": 900} for a in (0.90, 0.92, 0.94)]
    holdout = summarize_seeds(runs, same_rows=False)
    assert holdout is not None
    assert holdout["mean"] == pytest.approx(0.92)
    assert holdout["standard_deviation"] == pytest.approx(0.02)
    # t(2) = 4.303; 0.02 · √(1/3 + 1/9)
    assert holdout["ci95"][0] == pytest.approx(0.92 - 4.303 * 0.02 * (4 / 9) ** 0.5, abs=1e-4)
    assert "Nadeau" in holdout["method"]
    folds = summarize_seeds(runs, same_rows=True)
    assert folds is not None
    variance = 0.02**2 / 3 + 0.92 * 0.08 / 100
    assert folds["ci95"] == [pytest.approx(0.92 - 4.303 * variance**0.5, abs=1e-4), 1.0]
    assert summarize_seeds([{**runs[0], "val_accuracy": None}], same_rows=True) is None
    equal = summarize_seeds(runs[:1] * 3, same_rows=False)
    assert equal is not None
    assert equal["ci95"] == [*wilson_interval(90, 100)], "no variance is not certainty"
