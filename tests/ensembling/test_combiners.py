"""Each way of combining the probabilities of several runs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from kaggle_digits.ensembling.combiners import (
    fit_stack,
    fit_weights,
    majority_vote,
    mean,
    vote,
    weighted_mean,
)
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.metrics.scores import SMALLEST_PROBABILITY
from tests.support.probabilities import noisy_probs, random_labels

LABELS = random_labels()


def test_mean_and_weighted_mean() -> None:
    both = np.stack([noisy_probs(LABELS, 1, 1), noisy_probs(LABELS, 1, 2)])
    assert np.allclose(mean(both), (both[0] + both[1]) / 2)
    combined = weighted_mean(both, [0.25, 0.75])
    assert np.allclose(combined, 0.25 * both[0] + 0.75 * both[1])
    assert mean(both).dtype == combined.dtype == np.float32


def test_weighted_mean_applies_temperatures_first() -> None:
    both = np.stack([noisy_probs(LABELS, 1, 1), noisy_probs(LABELS, 1, 2)])
    scaled = [apply_temperature(run, t) for run, t in zip(both, (2.0, 0.5), strict=True)]
    combined = weighted_mean(both, [0.25, 0.75], [2.0, 0.5])
    assert (combined == weighted_mean(np.stack(scaled), [0.25, 0.75])).all()


def test_better_runs_get_larger_weights() -> None:
    good, bad = noisy_probs(LABELS, 1.0, 1), noisy_probs(LABELS, 8.0, 2)
    weights = fit_weights(np.stack([bad, good]), LABELS)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.95
    equal = fit_weights(np.stack([noisy_probs(LABELS, 2, 3), noisy_probs(LABELS, 2, 4)]), LABELS)
    assert equal == pytest.approx([0.5, 0.5], abs=0.15)


def test_stack_equals_logistic_regression_on_unscaled_log_probabilities() -> None:
    probabilities = np.stack([noisy_probs(LABELS, 2.5, 1), noisy_probs(LABELS, 3.5, 2)])
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    features = logs.transpose(1, 0, 2).reshape(len(LABELS), 20)
    with threadpool_limits(1):
        expected = LogisticRegression(C=0.01, max_iter=10_000, tol=1e-8).fit(features, LABELS)
    combined = fit_stack(probabilities, LABELS)(probabilities)
    assert combined == pytest.approx(expected.predict_proba(features), abs=5e-3)


def test_stack_never_predicts_a_digit_it_was_not_fitted_on() -> None:
    few = LABELS % 3
    combined = fit_stack(noisy_probs(few, 1, 1)[None], few)(noisy_probs(LABELS, 1, 2)[None])
    assert not combined[:, 3:].any()
    assert np.allclose(combined.sum(axis=1), 1, atol=1e-5)


def test_in_a_tied_vote_the_first_run_decides() -> None:
    first, second, third = (np.array(v, np.uint8) for v in ([1, 2, 3], [1, 5, 4], [7, 5, 9]))
    assert majority_vote([first, second, third]).tolist() == [1, 5, 3]
    assert majority_vote([third, second, first]).tolist() == [1, 5, 9]
    many = [np.array([d], np.uint8) for d in (0, 1, 1, 2, 2, 3, 4)]
    assert majority_vote(many).tolist() == [1]
    shares = vote(np.stack([np.eye(10, dtype=np.float32)[[4]]] * 3))
    assert shares[0, 4] == pytest.approx(1)
