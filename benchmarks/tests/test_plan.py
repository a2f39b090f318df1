"""The plan follows from the costs, and names what holds it up."""

from __future__ import annotations

import pytest

from benchmarks.plan import Costs, seconds, table

COSTS = Costs(
    training=90,
    starting=10,
    data_mb=125,
    putting=1,
    result_mb=1.25,
    connecting=2,
    keeping=0.04,
    assembling=0.01,
)


@pytest.mark.parametrize(
    ("members", "nodes", "expected", "reason"),
    [
        # 8 rounds of 100 s; the data once over the wire, 1 s; connecting, putting; 15 × 0.01.
        (15, 1, 800 + 1 + 3 + 0.15, "training itself, 90%"),
        # One round, 4 doublings of the data.
        (15, 10, 100 + 4 + 3 + 0.15, "one member's length; 25% of the places are idle"),
        # 8 rounds; 1,500 × 0.05 s of the driver are hidden behind them.
        (1_500, 100, 800 + 7 + 3 + 15, "training itself, 90%"),
    ],
)
def test_seconds_by_hand(members: int, nodes: int, expected: float, reason: str) -> None:
    taken, bottleneck = seconds(COSTS, members, nodes)
    assert taken == pytest.approx(expected)
    assert bottleneck == reason


def test_a_slow_driver_is_named() -> None:
    slow = Costs(**{**vars(COSTS), "keeping": 1.0})
    taken, bottleneck = seconds(slow, 1_500, 100)
    assert taken == pytest.approx(1_500 * 1.01 + 7 + 3 + 15)
    assert bottleneck.startswith("the driver")


def test_the_table_has_a_row_for_each() -> None:
    assert len(table(COSTS).splitlines()) == 2 + 9
