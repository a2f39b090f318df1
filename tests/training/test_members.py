"""Tests of kaggle_digits.training.members: the training time of all members."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.training.members import train_seconds
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train


def test_parallel_members_count_once() -> None:
    sequential = [{"seconds": 10.0, "ended": 110.0}, {"seconds": 5.0, "ended": 130.0}]
    assert train_seconds(sequential) == 15.0, "the pause between them is not counted"
    parallel = [{"seconds": 10.0, "ended": 110.0}, {"seconds": 8.0, "ended": 112.0}]
    assert train_seconds(parallel) == 12.0
    assert train_seconds(parallel[::-1]) == 12.0
    within = [{"seconds": 10.0, "ended": 110.0}, {"seconds": 2.0, "ended": 108.0}]
    assert train_seconds(within) == 10.0


def test_seconds_of_older_members_are_added_up() -> None:
    assert train_seconds([{"seconds": 10.0, "ended": 110.0}, {"seconds": 8.0}]) == 18.0


def test_seconds_of_sequential_members_are_those_of_the_epochs(
    dataset: Dataset, tmp_path: Path
) -> None:
    recipe = Recipe("mlp", widths=(16,), epochs=2)
    run = train(dataset, recipe, Split("folds", folds=3), runs_dir=tmp_path)
    seconds = sum(row["seconds"] for row in run.read_history())
    assert run.metrics()["train_seconds"] == pytest.approx(seconds, abs=0.02)
