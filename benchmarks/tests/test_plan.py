"""Tests of benchmarks.plan."""

from __future__ import annotations

import pytest

from benchmarks.plan import Costs, estimate, table

COSTS = Costs(
    training=90,
    starting=10,
    data_mb=125,
    putting=1,
    result_mb=1.25,
    connecting=2,
    saving=0.04,
    aggregating=0.01,
)


@pytest.mark.parametrize(
    ("members", "nodes", "expected", "reason"),
    [
        # 8 rounds of 100 s; one transfer of the data, 1 s; connecting and putting; 15 × 0.01 s.
        (15, 1, 800 + 1 + 3 + 0.15, "training, 90%"),
        # One round; the data need 4 transfers.
        (15, 10, 100 + 4 + 3 + 0.15, "the length of one member; 25% of the slots are idle"),
        # 8 rounds; the driver's 1,500 × 0.05 s run at the same time.
        (1_500, 100, 800 + 7 + 3 + 15, "training, 90%"),
    ],
)
def test_estimate_equals_manual_calculation(
    members: int, nodes: int, expected: float, reason: str
) -> None:
    seconds, bottleneck = estimate(COSTS, members, nodes)
    assert seconds == pytest.approx(expected)
    assert bottleneck == reason


def test_slow_driver_is_the_bottleneck() -> None:
    slow = Costs(**{**vars(COSTS), "saving": 1.0})
    seconds, bottleneck = estimate(slow, 1_500, 100)
    assert seconds == pytest.approx(1_500 * 1.01 + 7 + 3 + 15)
    assert bottleneck.startswith("the driver")


def test_table_has_a_row_per_combination() -> None:
    assert len(table(COSTS).splitlines()) == 2 + 9
