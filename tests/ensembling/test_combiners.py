"""Each way of making one set of probabilities of several, by itself."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from kaggle_digits.ensembling.combiners import (
    best_weights,
    learn_stack,
    mean,
    vote,
    vote_labels,
    weighted,
)
from tests.support.probabilities import noisy_probs, random_labels

LABELS = random_labels()


def test_mean_and_weights_are_what_they_say() -> None:
    both = np.stack([noisy_probs(LABELS, 1, 1), noisy_probs(LABELS, 1, 2)])
    assert np.allclose(mean(both), (both[0] + both[1]) / 2)
    found = weighted(np.array([0.25, 0.75]))(both)
    assert np.allclose(found, 0.25 * both[0] + 0.75 * both[1])
    assert mean(both).dtype == found.dtype == np.float32


def test_weights_go_to_whoever_is_worth_them() -> None:
    good, bad = noisy_probs(LABELS, 1.0, 1), noisy_probs(LABELS, 8.0, 2)
    weights = best_weights(np.stack([bad, good]), LABELS)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.95
    equal = best_weights(np.stack([noisy_probs(LABELS, 2, 3), noisy_probs(LABELS, 2, 4)]), LABELS)
    assert equal == pytest.approx([0.5, 0.5], abs=0.15)


def test_a_stack_is_the_logistic_regression_on_log_probabilities() -> None:
    """Scaling is there for speed alone: scikit-learn on the bare features agrees."""
    known = np.stack([noisy_probs(LABELS, 2.5, 1), noisy_probs(LABELS, 3.5, 2)])
    logs = np.log(np.maximum(known.astype(np.float64), 1e-7))
    bare = logs.transpose(1, 0, 2).reshape(len(LABELS), 20)
    with threadpool_limits(1):
        expected = LogisticRegression(C=0.01, max_iter=10_000, tol=1e-8).fit(bare, LABELS)
    found = learn_stack(known, LABELS)(known)
    assert found == pytest.approx(expected.predict_proba(bare), abs=5e-3)


def test_a_stack_never_says_a_digit_that_it_never_saw() -> None:
    few = LABELS % 3
    found = learn_stack(noisy_probs(few, 1, 1)[None], few)(noisy_probs(LABELS, 1, 2)[None])
    assert not found[:, 3:].any()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_votes_are_counted_and_ties_go_to_the_first() -> None:
    first, second, third = (np.array(v, np.uint8) for v in ([1, 2, 3], [1, 5, 4], [7, 5, 9]))
    assert vote_labels([first, second, third]).tolist() == [1, 5, 3]
    assert vote_labels([third, second, first]).tolist() == [1, 5, 9]
    many = [np.array([d], np.uint8) for d in (0, 1, 1, 2, 2, 3, 4)]
    assert vote_labels(many).tolist() == [1]
    shares = vote(np.stack([np.eye(10, dtype=np.float32)[[4]]] * 3))
    assert shares[0, 4] == pytest.approx(1)
