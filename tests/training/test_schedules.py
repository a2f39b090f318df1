"""Learning-rate schedules."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from kaggle_digits.training.schedules import SCHEDULES, Schedule, batch_size_factor

PEAK, EPOCHS, STEPS = 0.1, 10, 20


def rates(name: Schedule) -> np.ndarray:
    """The rate at every step."""
    schedule: Any = SCHEDULES[name](PEAK, EPOCHS, STEPS)
    if isinstance(schedule, float):
        return np.full(EPOCHS * STEPS + 1, schedule)
    return np.array([float(schedule(step)) for step in range(EPOCHS * STEPS + 1)])


def test_every_name_has_a_schedule() -> None:
    assert set(SCHEDULES) == set(get_args(Schedule))


def test_onecycle_warms_up_linearly_and_decays_to_zero() -> None:
    values = rates("onecycle")
    warmup = EPOCHS * STEPS // 5
    assert values[0] == pytest.approx(PEAK / 25)
    assert values.argmax() == warmup
    assert values[warmup] == pytest.approx(PEAK)
    assert np.allclose(np.diff(values[: warmup + 1]), PEAK * 24 / 25 / warmup, atol=1e-6)
    halfway = (warmup + EPOCHS * STEPS) // 2
    assert values[halfway] == pytest.approx(PEAK / 2, rel=1e-4)
    assert values[-1] == pytest.approx(0, abs=1e-6)
    assert (np.diff(values[warmup:]) <= 0).all()


def test_exponential_decays_after_each_epoch() -> None:
    values = rates("exponential")
    expected = PEAK * 0.95 ** (np.arange(EPOCHS * STEPS + 1) // STEPS)
    assert np.allclose(values, expected, rtol=1e-5)


def test_constant_keeps_the_rate() -> None:
    assert (rates("constant") == PEAK).all()


def test_batches_of_sklearn_grow_towards_the_end() -> None:
    factors = [batch_size_factor("onecycle", epoch / 20) for epoch in range(20)]
    assert factors == [1] * 10 + [4] * 5 + [16] * 3 + [64] * 2
    assert batch_size_factor("constant", 0.95) == 1
