"""One temperature: found where it is known, and what it must leave as it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.metrics.calibration import apply_temperature, temperature
from kaggle_digits.metrics.scores import Score, score

N = 20_000


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def calibrated(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """(N, 10) logits, and labels drawn from their softmax: the right temperature is 1."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(N, 10))
    chances = softmax(logits).astype(np.float64).cumsum(axis=1)
    drawn = (rng.random((N, 1)) > chances[:, :9]).sum(axis=1)
    return logits, drawn.astype(np.uint8)


def scored(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Score:
    found = score(probabilities, labels)
    assert found is not None
    return found


@pytest.mark.parametrize("true", [0.4, 0.8, 1.0, 1.7, 3.0])
def test_a_known_temperature_is_found(true: float) -> None:
    logits, labels = calibrated()
    too_sure = softmax(true * logits)
    found = temperature(too_sure, labels)
    assert found == pytest.approx(true, rel=0.03)
    assert apply_temperature(too_sure, true) == pytest.approx(softmax(logits), abs=1e-6)


@pytest.mark.parametrize("strength", [0.3, 1.0, 4.0, 60.0])
def test_the_log_loss_never_rises_and_no_answer_changes(strength: float) -> None:
    logits, labels = calibrated(1)
    given = softmax(strength * logits)
    tempered = apply_temperature(given, temperature(given, labels))
    assert tempered.dtype == np.float32
    assert np.allclose(tempered.sum(axis=1), 1, atol=1e-5)
    assert (tempered.argmax(1) == given.argmax(1)).all()
    assert scored(tempered, labels).log_loss <= scored(given, labels).log_loss
    if strength in (0.3, 4.0):
        assert scored(tempered, labels).log_loss < 0.95 * scored(given, labels).log_loss


def test_it_stays_between_its_bounds() -> None:
    labels = np.arange(200).astype(np.uint8) % 10
    right = np.full((200, 10), 0.05, np.float32)
    right[np.arange(200), labels] = 0.55
    assert temperature(right, labels) == pytest.approx(0.2, rel=0.01)
    assert temperature(right, (labels + 1) % 10) == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize("warmth", [0.2, 1.0, 1.5, 5.0])
def test_ties_stay_with_the_first_and_near_ties_with_the_winner(warmth: float) -> None:
    tied = np.full((3, 10), 0.01, np.float32)
    tied[0, [4, 7]] = 0.46
    tied[1, [4, 7]] = 0.46, np.nextafter(np.float32(0.46), np.float32(1))
    tied[2] = 0.1
    found = apply_temperature(tied, warmth)
    assert found.argmax(axis=1).tolist() == [4, 7, 0]
    assert found[0, 4] == found[0, 7]
    assert found[2] == pytest.approx(np.full(10, 0.1))


def test_nothing_is_made_of_a_probability_of_nought() -> None:
    certain = np.eye(10, dtype=np.float32)[[3, 5]]
    for warmth in (0.2, 2.0, 5.0):
        found = apply_temperature(certain, warmth)
        assert np.isfinite(found).all()
        assert found.argmax(axis=1).tolist() == [3, 5]
        assert found.max(axis=1) == pytest.approx(1, abs=1e-6)


def test_one_wrong_certainty_does_not_set_the_temperature() -> None:
    logits, labels = calibrated(2)
    given = softmax(logits)
    given[0] = np.eye(10)[(labels[0] + 1) % 10]
    assert temperature(given, labels) == pytest.approx(1, rel=0.03)


def test_rows_without_a_prediction_are_passed_over() -> None:
    logits, labels = calibrated(3)
    given = softmax(2 * logits)
    known = temperature(given[:5000], labels[:5000])
    given[5000:] = np.nan
    assert temperature(given, labels) == known
    tempered = apply_temperature(given, known)
    assert np.isnan(tempered[5000:]).all()
    assert not np.isnan(tempered[:5000]).any()
    given[:] = np.nan
    assert temperature(given, labels) == 1.0
    assert temperature(given[:0], labels[:0]) == 1.0
    assert apply_temperature(given[:0], 2.0).shape == (0, 10)


def test_one_changes_not_a_bit_and_hands_back_an_own_array() -> None:
    given = softmax(calibrated(4)[0])
    found = apply_temperature(given, 1.0)
    assert (found == given).all()
    found[0] = 0
    assert given[0].sum() == pytest.approx(1)


def test_what_makes_no_sense_is_said() -> None:
    given = softmax(calibrated()[0][:5])
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="is no number above 0; 1 changes nothing"):
            apply_temperature(given, wrong)
    with pytest.raises(RunError, match="5 predictions for 4 labels"):
        temperature(given, np.zeros(4, np.uint8))
