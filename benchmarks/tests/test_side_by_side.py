"""Tests of benchmarks.side_by_side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import side_by_side
from benchmarks.side_by_side import FULL, TARGETS, Target, draw, measure, page, table, target_lines
from kaggle_digits.plots import style
from kaggle_digits.sources.fetch import fetch
from kaggle_digits.training.recipes import RECIPES


def run(accuracy: float, seconds: float, n_val: int = 4200) -> dict[str, Any]:
    return {
        "val_accuracy": accuracy,
        "n_val": n_val,
        "train_seconds": seconds,
        "peak_memory_mb": 1234.5,
    }


FOUND = {
    "fast": [run(0.991, 5), run(0.989, 7), run(0.993, 30)],
    "peer-keras": [run(0.988, 60), run(0.987, 80), run(0.989, 70)],
    "best": [run(0.9977, 1500, 42000)],
    "peer-notebook": [run(0.996, 900)],
}


def test_recipes_alternate_and_a_stopped_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int]] = []

    def trains(recipe: str, seed: int, *_: Any) -> dict[str, Any]:
        trained.append((recipe, seed))
        if len(trained) == 4:
            raise KeyboardInterrupt
        return run(0.99, 10)

    monkeypatch.setattr(side_by_side, "train_once", trains)
    with pytest.raises(KeyboardInterrupt):
        measure(("fast", "best"), 3, tmp_path, tmp_path)
    assert trained == [("fast", 10), ("best", 10), ("fast", 11), ("fast", 12)]
    found = measure(("fast", "best"), 3, tmp_path, tmp_path)
    assert trained[4:] == [("fast", 12)]
    assert {recipe: len(runs) for recipe, runs in found.items()} == {"fast": 3, "best": 1}
    assert json.loads((tmp_path / "measured.json").read_text()) == found


def test_a_real_training(tmp_path: Path) -> None:
    fetch("sample", tmp_path / "data")
    found = measure(("linear",), 1, tmp_path / "data", tmp_path, rows=200)
    assert found["linear"][0]["n_val"] == 20
    assert found["linear"][0]["train_seconds"] > 0


def test_table_has_interval_and_spread_per_recipe() -> None:
    head, _, first, *rest = table(FOUND)
    assert head.count("|") == first.count("|")
    assert "0.9910 (± 0.0020, n = 3)" in first
    assert "4,200 × 3 (0.9892–0.9925)" in first
    assert "| 7.0 | 1,234 |" in first
    assert len(rest) == 3
    assert "±" not in rest[1]


def test_page_has_plot_table_and_targets() -> None:
    lines = page(FOUND).splitlines()
    assert lines[0].startswith("# ")
    assert any(line.endswith(f"({side_by_side.PICTURE})") for line in lines)
    assert set(table(FOUND)) | set(target_lines(FOUND)) <= set(lines)
    assert not any("{" in line for line in lines), "words, no dictionaries"


def test_targets_use_the_median_ratio_within_rounds() -> None:
    fast, best = target_lines(FOUND)
    # Ratios 5/60, 7/80, 30/70: one slow moment does not decide.
    assert fast.endswith("measured 0.9910 in 0.087: met")
    assert "`best` against 15 × `peer-notebook`" in best
    assert best.endswith("measured 0.9977 in 0.111: met")
    (missed,) = target_lines({**FOUND, "best": [], "fast": [run(0.9899, 5)]})
    assert missed.endswith("MISSED")
    assert not target_lines({"fast": FOUND["fast"]})


def test_targets_name_existing_recipes() -> None:
    assert all({target.ours, target.baseline} <= set(RECIPES) & set(FULL) for target in TARGETS)
    assert all(isinstance(target, Target) and 0 < target.share < 1 for target in TARGETS)


def test_plot_shows_every_recipe(tmp_path: Path) -> None:
    figure = draw(FOUND)
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == set(FOUND)
    assert axes.get_xlabel() == "training time, seconds"
    style.save(figure, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
