"""Calibration error and temperature scaling."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.metrics.calibration import (
    apply_temperature,
    calibration_curve,
    fit_temperature,
)
from kaggle_digits.metrics.scores import Score, score
from tests.support.probabilities import with_confidence

N = 20_000


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def calibrated_logits(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """(N, 10) logits, and labels drawn from their softmax: the best temperature is 1."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(N, 10))
    cumulative = softmax(logits).astype(np.float64).cumsum(axis=1)
    labels = (rng.random((N, 1)) > cumulative[:, :9]).sum(axis=1)
    return logits, labels.astype(np.uint8)


def scored(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Score:
    result = score(probabilities, labels)
    assert result is not None
    return result


def test_calibration_error_computed_by_hand() -> None:
    # Four predictions at 0.9 of which two are correct, four at 0.5 of which two are correct.
    probabilities = with_confidence([(1, 0.9)] * 4 + [(2, 0.5)] * 4)
    labels = np.array([1, 1, 3, 3, 2, 2, 3, 3])
    curve = calibration_curve(probabilities, labels)
    assert curve.error == pytest.approx(0.5 * 0.4 + 0.5 * 0.0, abs=1e-6)
    assert curve.counts.tolist() == [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0]


def test_confidence_of_1_falls_into_the_last_bin() -> None:
    curve = calibration_curve(with_confidence([(4, 1.0)]), np.array([4]))
    assert curve.counts[-1] == 1
    assert curve.error == 0


def test_calibration_error_agrees_with_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(10, 0.2), 2000).astype(np.float32)
    labels = rng.integers(0, 10, 2000)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert calibration_curve(probabilities, labels).error == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("true", [0.4, 0.8, 1.0, 1.7, 3.0])
def test_fit_temperature_recovers_a_known_temperature(true: float) -> None:
    logits, labels = calibrated_logits()
    scaled = softmax(true * logits)
    assert fit_temperature(scaled, labels) == pytest.approx(true, rel=0.03)
    assert apply_temperature(scaled, true) == pytest.approx(softmax(logits), abs=1e-6)


@pytest.mark.parametrize("strength", [0.3, 1.0, 4.0, 60.0])
def test_temperature_lowers_log_loss_and_keeps_predictions(strength: float) -> None:
    logits, labels = calibrated_logits(1)
    before = softmax(strength * logits)
    after = apply_temperature(before, fit_temperature(before, labels))
    assert after.dtype == np.float32
    assert np.allclose(after.sum(axis=1), 1, atol=1e-5)
    assert (after.argmax(1) == before.argmax(1)).all()
    assert scored(after, labels).log_loss <= scored(before, labels).log_loss
    if strength in (0.3, 4.0):
        assert scored(after, labels).log_loss < 0.95 * scored(before, labels).log_loss


def test_fitted_temperature_stays_within_its_bounds() -> None:
    labels = np.arange(200).astype(np.uint8) % 10
    correct = np.full((200, 10), 0.05, np.float32)
    correct[np.arange(200), labels] = 0.55
    assert fit_temperature(correct, labels) == pytest.approx(0.2, rel=0.01)
    assert fit_temperature(correct, (labels + 1) % 10) == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 1.5, 5.0])
def test_temperature_keeps_the_winner_of_ties_and_near_ties(temperature: float) -> None:
    tied = np.full((3, 10), 0.01, np.float32)
    tied[0, [4, 7]] = 0.46
    tied[1, [4, 7]] = 0.46, np.nextafter(np.float32(0.46), np.float32(1))
    tied[2] = 0.1
    scaled = apply_temperature(tied, temperature)
    assert scaled.argmax(axis=1).tolist() == [4, 7, 0]
    assert scaled[0, 4] == scaled[0, 7]
    assert scaled[2] == pytest.approx(np.full(10, 0.1))


def test_apply_temperature_accepts_probabilities_of_0() -> None:
    certain = np.eye(10, dtype=np.float32)[[3, 5]]
    for temperature in (0.2, 2.0, 5.0):
        scaled = apply_temperature(certain, temperature)
        assert np.isfinite(scaled).all()
        assert scaled.argmax(axis=1).tolist() == [3, 5]
        assert scaled.max(axis=1) == pytest.approx(1, abs=1e-6)


def test_one_wrong_certainty_hardly_changes_the_temperature() -> None:
    logits, labels = calibrated_logits(2)
    probabilities = softmax(logits)
    probabilities[0] = np.eye(10)[(labels[0] + 1) % 10]
    assert fit_temperature(probabilities, labels) == pytest.approx(1, rel=0.03)


def test_rows_of_nan_are_ignored_and_stay_nan() -> None:
    logits, labels = calibrated_logits(3)
    probabilities = softmax(2 * logits)
    temperature = fit_temperature(probabilities[:5000], labels[:5000])
    probabilities[5000:] = np.nan
    assert fit_temperature(probabilities, labels) == temperature
    scaled = apply_temperature(probabilities, temperature)
    assert np.isnan(scaled[5000:]).all()
    assert not np.isnan(scaled[:5000]).any()
    probabilities[:] = np.nan
    assert fit_temperature(probabilities, labels) == 1.0
    assert fit_temperature(probabilities[:0], labels[:0]) == 1.0
    assert apply_temperature(probabilities[:0], 2.0).shape == (0, 10)


def test_temperature_1_returns_an_identical_copy() -> None:
    probabilities = softmax(calibrated_logits(4)[0])
    copy = apply_temperature(probabilities, 1.0)
    assert (copy == probabilities).all()
    copy[0] = 0
    assert probabilities[0].sum() == pytest.approx(1)


def test_impossible_temperatures_and_lengths_are_refused() -> None:
    probabilities = softmax(calibrated_logits()[0][:5])
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="must be a finite number above 0"):
            apply_temperature(probabilities, wrong)
    with pytest.raises(RunError, match="5 predictions for 4 labels"):
        fit_temperature(probabilities, np.zeros(4, np.uint8))
