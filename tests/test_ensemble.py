"""Putting runs together: what each method does, and what it must not look at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.ensemble import METHODS, best_weights, combine, ensemble_runs, vote, vote_labels
from kaggle_digits.errors import RunError, UsageError

N, TESTS = 600, 300


def noisy(labels: NDArray[np.uint8], strength: float, seed: int) -> NDArray[np.float32]:
    """(n, 10) probabilities that are right more often the smaller ``strength``."""
    rng = np.random.default_rng(seed)
    logits = 4 * np.eye(10)[labels] + strength * rng.normal(size=(len(labels), 10))
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 10, N).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_its_members(method: str, labels: NDArray[np.uint8]) -> None:
    oofs = [noisy(labels, 2.5, seed) for seed in range(3)]
    truth = labels[:TESTS]
    tests = [noisy(truth, 2.5, seed) for seed in range(10, 13)]
    found = combine(oofs, tests, labels, method)
    assert found.score is not None
    assert found.score.n == N
    best = max(member.accuracy for member in found.member_scores if member)
    assert found.score.accuracy > best
    assert found.test.shape == (TESTS, 10)
    assert found.test.dtype == np.float32
    assert np.allclose(found.test.sum(axis=1), 1, atol=1e-5)
    members = [(test.argmax(1) == truth).mean() for test in tests]
    assert (found.test.argmax(1) == truth).mean() > np.mean(members)


def test_mean_is_the_mean(labels: NDArray[np.uint8]) -> None:
    one, other = noisy(labels, 1, 1), noisy(labels, 1, 2)
    found = combine([one, other], [one, other], labels, "mean")
    assert np.allclose(found.test, (one + other) / 2)
    assert np.allclose(found.oof, found.test)


def test_only_rows_that_all_predicted_count(labels: NDArray[np.uint8]) -> None:
    one, other = noisy(labels, 1, 1), noisy(labels, 1, 2)
    one[:100], other[500:] = np.nan, np.nan
    found = combine([one, other], [one[100:], other[:500]], labels, "mean")
    assert found.score is not None
    assert found.score.n == 400
    assert np.isnan(found.oof[:100]).all()


def test_learnt_methods_need_common_rows(labels: NDArray[np.uint8]) -> None:
    one, other = noisy(labels, 1, 1), noisy(labels, 1, 2)
    one[:300], other[300:] = np.nan, np.nan
    for method in ("weighted", "stack"):
        with pytest.raises(RunError, match="none in common; train them with the same --folds"):
            combine([one, other], [one, other], labels, method)
    assert combine([one, other], [one[300:], one[300:]], labels, "mean").score is None


def test_weights_go_to_whoever_is_worth_them(labels: NDArray[np.uint8]) -> None:
    good, bad = noisy(labels, 1.0, 1), noisy(labels, 8.0, 2)
    weights = best_weights(np.stack([bad, good]), labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.95
    equal = best_weights(np.stack([noisy(labels, 2, 3), noisy(labels, 2, 4)]), labels)
    assert equal == pytest.approx([0.5, 0.5], abs=0.15)


def test_a_learnt_ensemble_is_judged_on_rows_it_did_not_learn(
    labels: NDArray[np.uint8],
) -> None:
    """Predictions that say nothing must score like chance, however well a stack can fit them."""
    rng = np.random.default_rng(5)
    noise = [rng.dirichlet(np.ones(10), N).astype(np.float32) for _ in range(5)]
    found = combine(noise, noise, labels, "stack")
    assert found.score is not None
    assert found.score.ci95[0] < 0.13


def test_votes_are_counted_and_ties_go_to_the_first() -> None:
    first, second, third = (np.array(v, np.uint8) for v in ([1, 2, 3], [1, 5, 4], [7, 5, 9]))
    assert vote_labels([first, second, third]).tolist() == [1, 5, 3]
    assert vote_labels([third, second, first]).tolist() == [1, 5, 9]
    many = [np.array([d], np.uint8) for d in (0, 1, 1, 2, 2, 3, 4)]
    assert vote_labels(many).tolist() == [1]
    shares = vote(np.stack([np.eye(10, dtype=np.float32)[[4]]] * 3))
    assert shares[0, 4] == pytest.approx(1)


def test_one_run_or_an_unknown_method_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="at least two runs"):
        ensemble_runs([], np.zeros(3, np.uint8), "mean")
    with pytest.raises(UsageError, match="--method best is unknown; one of: mean, vote"):
        ensemble_runs([], np.zeros(3, np.uint8), "best")
