"""Ensembles of runs: what each method computes, and which rows it must not use."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.ensembling.combiners import METHODS
from kaggle_digits.ensembling.ensemble import CV_FOLDS, combine, ensemble_runs, make_folds
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs.run import Run
from tests.support.probabilities import noisy_probs, random_labels

N, TESTS = 600, 300
LABELS = random_labels(N)
ROWS = np.arange(50, 550)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_its_members(method: str) -> None:
    oofs = [noisy_probs(LABELS, 2.5, seed) for seed in range(3)]
    truth = LABELS[:TESTS]
    tests = [noisy_probs(truth, 2.5, seed) for seed in range(10, 13)]
    ensemble = combine(oofs, tests, LABELS, method)
    assert ensemble.score is not None
    assert ensemble.score.n == N
    best = max(member.accuracy for member in ensemble.member_scores if member)
    assert ensemble.score.accuracy > best
    assert ensemble.test.shape == (TESTS, 10)
    assert ensemble.test.dtype == np.float32
    assert np.allclose(ensemble.test.sum(axis=1), 1, atol=1e-5)
    members = [(test.argmax(1) == truth).mean() for test in tests]
    assert (ensemble.test.argmax(1) == truth).mean() > np.mean(members)


def test_only_rows_that_every_run_predicted_count() -> None:
    one, other = noisy_probs(LABELS, 1, 1), noisy_probs(LABELS, 1, 2)
    one[:100], other[500:] = np.nan, np.nan
    ensemble = combine([one, other], [one[100:], other[:500]], LABELS, "mean")
    assert ensemble.score is not None
    assert ensemble.score.n == 400
    assert np.isnan(ensemble.oof[:100]).all()


def test_fitted_methods_need_common_rows() -> None:
    one, other = noisy_probs(LABELS, 1, 1), noisy_probs(LABELS, 1, 2)
    one[:300], other[300:] = np.nan, np.nan
    for method in ("weighted", "stack"):
        with pytest.raises(RunError, match="none in common; train them with the same split"):
            combine([one, other], [one[300:], one[300:]], LABELS, method)
    assert combine([one, other], [one[300:], one[300:]], LABELS, "mean").score is None
    one[:], other[:] = noisy_probs(LABELS, 1, 1), noisy_probs(LABELS, 1, 2)
    one[3:] = np.nan
    for method in ("weighted", "stack"):
        with pytest.raises(RunError, match="3 common out-of-fold rows are too few to fit"):
            combine([one, other], [other, other], LABELS, method)


def test_mean_averages_after_each_runs_own_temperature() -> None:
    sharp, flat = noisy_probs(LABELS, 2, 1, sharpness=4), noisy_probs(LABELS, 2, 2, sharpness=0.4)
    ensemble = combine([sharp, flat], [sharp[:TESTS], flat[:TESTS]], LABELS, "mean")
    temperatures = [fit_temperature(sharp, LABELS), fit_temperature(flat, LABELS)]
    assert ensemble.temperatures == temperatures
    assert temperatures[0] > 2
    assert temperatures[1] < 0.8
    calibrated = [
        apply_temperature(run[:TESTS], temperature)
        for run, temperature in zip((sharp, flat), temperatures, strict=True)
    ]
    assert np.allclose(ensemble.test, (calibrated[0] + calibrated[1]) / 2, atol=1e-6)
    plain_mean = score((sharp + flat) / 2, LABELS)
    assert ensemble.score is not None
    assert plain_mean is not None
    assert ensemble.score.log_loss < plain_mean.log_loss
    assert ensemble.score.accuracy > plain_mean.accuracy, "an overconfident run must not dominate"
    # Member scores are those of the runs without temperature.
    assert ensemble.member_scores == [score(sharp, LABELS), score(flat, LABELS)]


def test_temperatures_are_fitted_on_all_rows_of_their_own_run() -> None:
    one, other = noisy_probs(LABELS, 2, 1, sharpness=3), noisy_probs(LABELS, 2, 2, sharpness=0.5)
    tests = [one[:TESTS].copy(), other[:TESTS].copy()]
    one[300:], other[:300] = np.nan, np.nan
    ensemble = combine([one, other], tests, LABELS, "mean")
    assert ensemble.score is None
    assert ensemble.contributions is None
    assert ensemble.temperatures == [
        fit_temperature(one[:300], LABELS[:300]),
        fit_temperature(other[300:], LABELS[300:]),
    ]
    assert ensemble.temperatures[0] > 1 > ensemble.temperatures[1]
    other[:] = np.nan
    temperatures = combine([one, other], tests, LABELS, "mean").temperatures
    assert temperatures == [ensemble.temperatures[0], 1]


@pytest.mark.parametrize("common", [1, 2, 7])
def test_few_common_rows_are_still_scored(common: int) -> None:
    one, other = noisy_probs(LABELS, 2, 1), noisy_probs(LABELS, 2, 2)
    one[300 + common :], other[:300] = np.nan, np.nan
    for method in ("mean", "vote"):
        ensemble = combine([one, other], [one[:9], other[-9:]], LABELS, method)
        assert ensemble.score is not None
        assert ensemble.score.n == common
        assert not np.isnan(ensemble.oof[300 : 300 + common]).any()


def test_fitted_weights_are_used_only_if_they_lower_the_log_loss() -> None:
    good, bad = noisy_probs(LABELS, 1.0, 1), noisy_probs(LABELS, 8.0, 2)
    weighted = combine([bad, good], [bad, good], LABELS, "weighted")
    plain = combine([bad, good], [bad, good], LABELS, "mean")
    assert weighted.weights_help is True
    assert weighted.weights is not None
    assert weighted.weights[1] > 0.9
    assert weighted.score is not None
    assert plain.score is not None
    assert weighted.score.log_loss < plain.score.log_loss

    alike = [noisy_probs(LABELS, 2.5, seed) for seed in range(4)]
    weighted = combine(alike, alike, LABELS, "weighted")
    plain = combine(alike, alike, LABELS, "mean")
    assert weighted.weights_help is False
    assert weighted.weights == [0.25] * 4
    assert weighted.score == plain.score
    assert weighted.contributions is not None
    assert plain.contributions is not None
    # The ensembles without one of the runs also use fitted weights only if they help.
    for fitted, equal in zip(weighted.contributions, plain.contributions, strict=True):
        assert fitted.log_loss >= equal.log_loss
    assert np.allclose(weighted.test, plain.test, atol=1e-6)
    assert plain.weights is None
    assert plain.weights_help is None


@pytest.mark.parametrize("method", METHODS)
def test_contribution_is_the_difference_to_the_ensemble_without_the_run(method: str) -> None:
    runs = [
        noisy_probs(LABELS, 2.0, 1),
        noisy_probs(LABELS, 2.0, 2),
        noisy_probs(LABELS, 6.0, 3),
    ]
    whole = combine(runs, runs, LABELS, method)
    without = combine(runs[:2], runs[:2], LABELS, method)
    assert whole.contributions is not None
    assert whole.score is not None
    assert without.score is not None
    last = whole.contributions[2]
    assert last.right == round(N * (whole.score.accuracy - without.score.accuracy))
    assert last.log_loss == pytest.approx(whole.score.log_loss - without.score.log_loss, abs=1e-9)
    assert whole.contributions[0].right > last.right
    assert whole.contributions[0].log_loss < last.log_loss


def test_contribution_in_a_pair_is_the_difference_to_the_other_run() -> None:
    good, bad = noisy_probs(LABELS, 1.5, 1), noisy_probs(LABELS, 6.0, 2)
    for method in ("mean", "vote"):
        ensemble = combine([good, bad], [good, bad], LABELS, method)
        assert ensemble.contributions is not None
        assert ensemble.score is not None
        others = reversed(ensemble.member_scores)
        for contribution, other in zip(ensemble.contributions, others, strict=True):
            assert other is not None
            # A temperature changes no prediction, so the other run's accuracy is its own.
            assert contribution.right == round(N * (ensemble.score.accuracy - other.accuracy))
    ensemble = combine([good, bad], [good, bad], LABELS, "mean")
    assert ensemble.contributions is not None
    assert ensemble.contributions[0].right > 100 > ensemble.contributions[1].right
    assert ensemble.contributions[0].log_loss < 0 < ensemble.contributions[1].log_loss


def test_a_stack_of_noise_scores_like_chance() -> None:
    """It would score better if it were evaluated on the rows it was fitted on."""
    rng = np.random.default_rng(5)
    noise = [rng.dirichlet(np.ones(10), N).astype(np.float32) for _ in range(5)]
    ensemble = combine(noise, noise, LABELS, "stack")
    assert ensemble.score is not None
    assert ensemble.score.ci95[0] < 0.13


def test_a_single_run_or_an_unknown_method_is_a_usage_error() -> None:
    for runs in ([], [Run(Path("a"))], [Run(Path("a")), Run(Path("b")), Run(Path("a"))]):
        with pytest.raises(UsageError, match="at least two different runs"):
            ensemble_runs(runs, np.zeros(3, np.uint8), "stack")
    with pytest.raises(UsageError, match="`method='best'` is unknown; one of: mean, vote"):
        ensemble_runs([], np.zeros(3, np.uint8), "best")


@pytest.mark.parametrize("method", ["weighted", "stack"])
def test_fitted_methods_need_runs_that_record_their_split(method: str) -> None:
    runs: list[Any] = [SimpleNamespace(name=n, config=lambda: {"data": {}}) for n in ("early", "b")]
    with pytest.raises(RunError, match="run early does not record which rows it held out"):
        ensemble_runs(runs, LABELS, method)


def test_every_row_is_validated_once_in_stratified_folds() -> None:
    folds = make_folds(noisy_probs(LABELS, 2, 1)[None], LABELS, ROWS, calibrated=False)
    assert len(folds) == CV_FOLDS
    assert (np.sum([fold.validation for fold in folds], axis=0) == 1).all()
    counts = np.stack([np.bincount(LABELS[ROWS][fold.validation], minlength=10) for fold in folds])
    assert (np.ptp(counts, axis=0) <= 1).all()


@pytest.mark.parametrize("row", [50, 133, 549])
def test_a_row_does_not_influence_the_temperature_of_its_own_fold(row: int) -> None:
    """Make one prediction confidently wrong: only the folds that fit on it may change."""
    run = noisy_probs(LABELS, 2, 1)
    before = make_folds(run[None], LABELS, ROWS, calibrated=True)
    run[row] = np.eye(10)[(LABELS[row] + 1) % 10]
    after = make_folds(run[None], LABELS, ROWS, calibrated=True)
    others = row != ROWS
    for old, new in zip(before, after, strict=True):
        assert (old.validation == new.validation).all()
        unchanged = (old.probabilities[:, others] == new.probabilities[:, others]).all()
        assert bool(unchanged) == old.validation[row - ROWS[0]]


def test_rows_that_are_not_common_are_fitted_on_in_every_fold() -> None:
    run = noisy_probs(LABELS, 2, 1)
    before = make_folds(run[None], LABELS, ROWS, calibrated=True)
    run[3] = np.eye(10)[(LABELS[3] + 1) % 10]
    after = make_folds(run[None], LABELS, ROWS, calibrated=True)
    for old, new in zip(before, after, strict=True):
        assert (old.probabilities != new.probabilities).any()


def test_no_rows_give_no_folds() -> None:
    run = np.full((1, 600, 10), np.nan, np.float32)
    assert make_folds(run, LABELS, ROWS[:0], calibrated=True) == []
    assert len(make_folds(run, LABELS, ROWS[:2], calibrated=False)) == 2
