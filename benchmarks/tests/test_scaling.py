"""Tests of benchmarks.scaling."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import scaling
from benchmarks.scaling import SETTINGS, amount, distance_from_line


def test_distance_from_line() -> None:
    assert distance_from_line([10, 20, 40], [3.0, 5.0, 9.0]) == pytest.approx(0, abs=1e-9)
    assert distance_from_line([1, 2, 4], [1.0, 4.0, 16.0]) > scaling.MAX_DISTANCE


def test_each_setting_changes_one_quantity() -> None:
    for quantity, settings in SETTINGS.items():
        amounts = [amount(options, quantity) for options in settings]
        assert amounts == sorted(set(amounts))
        columns = list(zip(*settings, strict=True))
        assert sum(len(set(column)) > 1 for column in columns) == 1


@pytest.mark.parametrize(("power", "megabytes", "fails"), [(1, 900, 0), (3, 900, 1), (1, 2500, 1)])
def test_exit_code_reports_exceeded_limits(
    power: int,
    megabytes: float,
    fails: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train_once(_recipe: str, _seed: int, _data: Any, _work: str, options: list[str]) -> Any:
        rows, epochs = amount(options, "rows"), amount(options, "epochs")
        members = amount(options, "members") if "--repeats" in options else 1
        cost = (rows / 10_000 * epochs * members) ** power
        return {"train_seconds": cost, "peak_memory_mb": megabytes}

    monkeypatch.setattr(scaling, "train_once", train_once)
    monkeypatch.setattr("sys.argv", ["scaling"])
    assert scaling.main() == fails
    assert "| rows | 42,000 |" in capsys.readouterr().out
