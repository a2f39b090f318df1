"""What says that cost is linear must say when it is not."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import scaling
from benchmarks.scaling import SETTINGS, amount, distance_from_line


def test_a_line_is_a_line_and_a_square_is_not() -> None:
    assert distance_from_line([10, 20, 40], [3.0, 5.0, 9.0]) == pytest.approx(0, abs=1e-9)
    assert distance_from_line([1, 2, 4], [1.0, 4.0, 16.0]) > scaling.BAR_OFF


def test_each_setting_grows_in_one_thing() -> None:
    for what, settings in SETTINGS.items():
        amounts = [amount(options, what) for options in settings]
        assert amounts == sorted(set(amounts))
        columns = list(zip(*settings, strict=True))
        assert sum(len(set(column)) > 1 for column in columns) == 1


@pytest.mark.parametrize(("power", "megabytes", "fails"), [(1, 900, 0), (3, 900, 1), (1, 2500, 1)])
def test_the_bar_is_held_or_broken(
    power: int,
    megabytes: float,
    fails: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def trains(_recipe: str, _seed: int, _data: Any, _work: str, options: list[str]) -> Any:
        rows, epochs = amount(options, "rows"), amount(options, "epochs")
        members = amount(options, "members") if "--repeats" in options else 1
        cost = (rows / 10_000 * epochs * members) ** power
        return {"train_seconds": cost, "peak_memory_mb": megabytes}

    monkeypatch.setattr(scaling, "train_once", trains)
    monkeypatch.setattr("sys.argv", ["scaling"])
    assert scaling.main() == fails
    assert "| rows | 42,000 |" in capsys.readouterr().out
