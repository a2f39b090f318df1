"""Putting runs together: what each method does, and what it must not look at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.ensembling.combiners import METHODS
from kaggle_digits.ensembling.ensemble import combine, ensemble_runs
from kaggle_digits.metrics.calibration import apply_temperature, temperature
from kaggle_digits.metrics.scores import score
from tests.support.probabilities import noisy_probs, random_labels

N, TESTS = 600, 300


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    return random_labels(N)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_its_members(method: str, labels: NDArray[np.uint8]) -> None:
    oofs = [noisy_probs(labels, 2.5, seed) for seed in range(3)]
    truth = labels[:TESTS]
    tests = [noisy_probs(truth, 2.5, seed) for seed in range(10, 13)]
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


def test_only_rows_that_all_predicted_count(labels: NDArray[np.uint8]) -> None:
    one, other = noisy_probs(labels, 1, 1), noisy_probs(labels, 1, 2)
    one[:100], other[500:] = np.nan, np.nan
    found = combine([one, other], [one[100:], other[:500]], labels, "mean")
    assert found.score is not None
    assert found.score.n == 400
    assert np.isnan(found.oof[:100]).all()


def test_learnt_methods_need_common_rows(labels: NDArray[np.uint8]) -> None:
    one, other = noisy_probs(labels, 1, 1), noisy_probs(labels, 1, 2)
    one[:300], other[300:] = np.nan, np.nan
    for method in ("weighted", "stack"):
        with pytest.raises(RunError, match="none in common; train them with the same --folds"):
            combine([one, other], [one, other], labels, method)
    assert combine([one, other], [one[300:], one[300:]], labels, "mean").score is None
    one[:], other[:] = noisy_probs(labels, 1, 1), noisy_probs(labels, 1, 2)
    one[3:] = np.nan
    for method in ("weighted", "stack"):
        with pytest.raises(RunError, match="3 out-of-fold rows are too few to learn from"):
            combine([one, other], [one, other], labels, method)


def test_mean_averages_after_each_runs_own_temperature(labels: NDArray[np.uint8]) -> None:
    sure, unsure = (
        noisy_probs(labels, 2, 1, sureness=4),
        noisy_probs(labels, 2, 2, sureness=0.4),
    )
    found = combine([sure, unsure], [sure[:TESTS], unsure[:TESTS]], labels, "mean")
    learnt = [temperature(sure, labels), temperature(unsure, labels)]
    assert found.temperatures == learnt
    assert learnt[0] > 2
    assert learnt[1] < 0.8
    tempered = [
        apply_temperature(run[:TESTS], warmth)
        for run, warmth in zip((sure, unsure), learnt, strict=True)
    ]
    assert np.allclose(found.test, (tempered[0] + tempered[1]) / 2, atol=1e-6)
    bare = score((sure + unsure) / 2, labels)
    assert found.score is not None
    assert bare is not None
    assert found.score.log_loss < bare.log_loss
    assert found.score.accuracy > bare.accuracy, "the surer run no longer shouts the other down"
    # The table shows runs as they stand.
    assert found.member_scores == [score(sure, labels), score(unsure, labels)]


def test_temperatures_are_learnt_on_a_runs_own_rows(labels: NDArray[np.uint8]) -> None:
    one, other = (
        noisy_probs(labels, 2, 1, sureness=3),
        noisy_probs(labels, 2, 2, sureness=0.5),
    )
    tests = [one[:TESTS].copy(), other[:TESTS].copy()]
    one[300:], other[:300] = np.nan, np.nan
    apart = combine([one, other], tests, labels, "mean")
    assert apart.score is None
    assert apart.adds is None
    assert apart.temperatures == [
        temperature(one[:300], labels[:300]),
        temperature(other[300:], labels[300:]),
    ]
    assert apart.temperatures[0] > 1 > apart.temperatures[1]
    other[:] = np.nan
    assert combine([one, other], tests, labels, "mean").temperatures == [apart.temperatures[0], 1]


@pytest.mark.parametrize("common", [1, 2, 7])
def test_a_mean_of_runs_with_few_common_rows_is_still_measured(
    common: int, labels: NDArray[np.uint8]
) -> None:
    one, other = noisy_probs(labels, 2, 1), noisy_probs(labels, 2, 2)
    one[300 + common :], other[:300] = np.nan, np.nan
    for method in ("mean", "vote"):
        found = combine([one, other], [one[:9], other[-9:]], labels, method)
        assert found.score is not None
        assert found.score.n == common
        assert not np.isnan(found.oof[300 : 300 + common]).any()


def test_weights_are_kept_only_where_they_help(labels: NDArray[np.uint8]) -> None:
    good, bad = noisy_probs(labels, 1.0, 1), noisy_probs(labels, 8.0, 2)
    helped = combine([bad, good], [bad, good], labels, "weighted")
    plain = combine([bad, good], [bad, good], labels, "mean")
    assert helped.weights_help is True
    assert helped.weights is not None
    assert helped.weights[1] > 0.9
    assert helped.score is not None
    assert plain.score is not None
    assert helped.score.log_loss < plain.score.log_loss

    alike = [noisy_probs(labels, 2.5, seed) for seed in range(4)]
    fallen_back = combine(alike, alike, labels, "weighted")
    plain = combine(alike, alike, labels, "mean")
    assert fallen_back.weights_help is False
    assert fallen_back.weights == [0.25] * 4
    assert fallen_back.score == plain.score
    assert fallen_back.adds is not None
    assert plain.adds is not None
    # Without a run, too, weights are kept only where they help.
    for gain, equal in zip(fallen_back.adds, plain.adds, strict=True):
        assert gain.log_loss >= equal.log_loss
    assert np.allclose(fallen_back.test, plain.test, atol=1e-6)
    assert plain.weights is None
    assert plain.weights_help is None


@pytest.mark.parametrize("method", METHODS)
def test_what_a_run_adds_is_the_ensemble_less_the_one_without_it(
    method: str, labels: NDArray[np.uint8]
) -> None:
    runs = [
        noisy_probs(labels, 2.0, 1),
        noisy_probs(labels, 2.0, 2),
        noisy_probs(labels, 6.0, 3),
    ]
    whole = combine(runs, runs, labels, method)
    without = combine(runs[:2], runs[:2], labels, method)
    assert whole.adds is not None
    assert whole.score is not None
    assert without.score is not None
    added = whole.adds[2]
    assert added.right == round(N * (whole.score.accuracy - without.score.accuracy))
    assert added.log_loss == pytest.approx(whole.score.log_loss - without.score.log_loss, abs=1e-9)
    assert whole.adds[0].right > added.right
    assert whole.adds[0].log_loss < added.log_loss


def test_of_two_runs_the_other_alone_is_what_is_left(labels: NDArray[np.uint8]) -> None:
    good, bad = noisy_probs(labels, 1.5, 1), noisy_probs(labels, 6.0, 2)
    for method in ("mean", "vote"):
        found = combine([good, bad], [good, bad], labels, method)
        assert found.adds is not None
        assert found.score is not None
        for gain, other in zip(found.adds, reversed(found.member_scores), strict=True):
            assert other is not None
            # A temperature changes no answer, so the other alone is right as often as it is bare.
            assert gain.right == round(N * (found.score.accuracy - other.accuracy))
    found = combine([good, bad], [good, bad], labels, "mean")
    assert found.adds is not None
    assert found.adds[0].right > 100 > found.adds[1].right
    assert found.adds[0].log_loss < 0 < found.adds[1].log_loss


def test_a_learnt_ensemble_is_judged_on_rows_it_did_not_learn(
    labels: NDArray[np.uint8],
) -> None:
    """Predictions that say nothing must score like chance, however well a stack can fit them."""
    rng = np.random.default_rng(5)
    noise = [rng.dirichlet(np.ones(10), N).astype(np.float32) for _ in range(5)]
    found = combine(noise, noise, labels, "stack")
    assert found.score is not None
    assert found.score.ci95[0] < 0.13


def test_one_run_or_an_unknown_method_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="at least two runs"):
        ensemble_runs([], np.zeros(3, np.uint8), "mean")
    with pytest.raises(UsageError, match="--method best is unknown; one of: mean, vote"):
        ensemble_runs([], np.zeros(3, np.uint8), "best")
