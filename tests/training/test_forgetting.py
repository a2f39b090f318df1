"""A process that trains for days holds no more than one that has trained a little."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train


def test_the_graphs_of_earlier_trainings_are_let_go(dataset: Dataset, tmp_path: Path) -> None:
    """TensorFlow alone keeps one a training, of some MB."""
    pytest.importorskip("tensorflow")

    def graphs() -> int:
        train(dataset, Recipe("softmax", epochs=1), Split(rows=200), runs_dir=tmp_path)
        gc.collect()
        return sum(type(known).__name__ == "FuncGraph" for known in gc.get_objects())

    first = graphs()
    assert [graphs() for _ in range(2)] == [first, first]
