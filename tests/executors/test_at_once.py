"""Members trained at once, in a process of its own with JAX, against training one by one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.executors import at_once
from kaggle_digits.executors.local import local_executor
from kaggle_digits.models.backend import keras
from kaggle_digits.runs.store import open_run
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import FoldTask
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from tests.support.trainings import run_on_jax

# Everything that has a state of its own: augmentation, Muon, averaged weights, batch normalization.
FAST = Recipe(
    "fast",
    widths=(2, 4, 6),
    epochs=2,
    batch_size=60,  # divides 120 rows: JAX would compile a smaller last batch separately
    optimizer="muon",
    learning_rate=0.02,
    ema=0.9,
    augment=Augmentation(),
)
# One of two members ends early, and the last batch is smaller than the others.
DENSE = Recipe("dense", widths=(8,), epochs=4, batch_size=48, patience=1, learning_rate=0.15)
BOTH = EnsembleRecipe("both", (FAST, DENSE))
ON_JAX = """
import sys
from pathlib import Path
from shutil import copytree

from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.data.splits import split as folds
from kaggle_digits.executors import at_once
from kaggle_digits.training import fold
from kaggle_digits.training.recipe import EnsembleRecipe
from kaggle_digits.training.time_limit import TimeLimit
from kaggle_digits.training.train import resume, train
from tests.executors.test_at_once import BOTH, DENSE
from tests.support.trainings import StopAfter

fold.CHECKPOINT_INTERVAL = 0.0
dataset, here = load(Path(sys.argv[1])), Path(sys.argv[2])
split, executor = Split("folds", folds=2, rows=240), at_once.AtOnceExecutor()
train(dataset, BOTH, split, runs_dir=here, name="single")
train(dataset, BOTH, split, runs_dir=here, name="grouped", executor=executor)
stop = {"executor": executor, "callback": StopAfter(0, 1)}
try:
    train(dataset, DENSE, split, runs_dir=here, name="stopped", **stop)
except KeyboardInterrupt:
    resume(dataset, runs_dir=here, name="stopped", executor=executor)
train(dataset, DENSE, split, runs_dir=here, name="whole", executor=executor)

measured = executor.measure(DENSE, folds(dataset.labels, split), dataset)
assert measured and min(measured.start, measured.epoch, measured.end) > 0, measured
(compiled,) = [executor.compiled[key] for key in executor.compiled if key[0] == DENSE]
filled = EnsembleRecipe("filled", (DENSE,), folds=2, fills_time=True)
limit = TimeLimit(20 * (measured.start + DENSE.epochs * measured.epoch + measured.end))
train(dataset, filled, split, runs_dir=here, name="filled", executor=executor, time_limit=limit)
assert list(executor.compiled.values())[-1] is compiled  # nothing was compiled again

sizes = []
real = at_once.Together._train
def full_memory(self, epochs):
    sizes.append(len(epochs))
    if len(epochs) > 1:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")
    return real(self, epochs)
at_once.Together._train = full_memory
train(dataset, DENSE, split, runs_dir=here, name="halved", executor=executor)
assert sizes[:3] == [2, 1, 1], sizes
"""


@pytest.fixture(scope="module")
def here(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs single and grouped of BOTH; whole, stopped and resumed, and halved of DENSE."""
    pytest.importorskip("jax", reason="JAX is missing: pip install -e '.[jax]'")
    folder = tmp_path_factory.mktemp("at-once")
    run_on_jax(ON_JAX, sample, folder)
    return folder


def test_results_are_those_of_training_one_by_one(here: Path) -> None:
    single, grouped = (open_run(here, name) for name in ("single", "grouped"))
    assert single.config()["trained_by"].get("members_at_once") is None
    assert grouped.config()["trained_by"]["members_at_once"] == 2
    for read in ("oof", "test"):
        one, other = (getattr(run, read)() for run in (single, grouped))
        assert np.nanmax(np.abs(one - other)) < 1e-3, read
    histories = [run.read_history() for run in (single, grouped)]
    assert len(histories[0]) == len(histories[1])
    for one, other in zip(*histories, strict=True):
        assert abs(one["loss"] - other["loss"]) < 1e-3
        assert abs(one["val_loss"] - other["val_loss"]) < 1e-3


@pytest.mark.parametrize("name", ["stopped", "halved"])
def test_interruption_and_full_memory_do_not_change_the_result(here: Path, name: str) -> None:
    whole, other = open_run(here, "whole"), open_run(here, name)
    assert DENSE.epochs < len(whole.read_history()) < 2 * DENSE.epochs
    assert np.nanmax(np.abs(whole.oof() - other.oof())) < 1e-5
    assert np.abs(whole.test() - other.test()).max() < 1e-5


def task(member: int, recipe: Recipe, rows: int = 100, pseudo: int | None = None) -> FoldTask:
    labels = None if pseudo is None else np.where(np.arange(50) < pseudo, 1, -1).astype(np.int8)
    fold = FoldIndices(np.arange(rows), np.arange(rows, rows + 10))
    return FoldTask(member, recipe, fold, member, labels)


def test_only_networks_that_differ_in_variables_are_grouped() -> None:
    standard = DENSE.with_changes(normalize="standard")
    tasks = [
        *(task(0, DENSE), task(1, FAST), task(2, DENSE), task(3, DENSE, rows=99)),
        *(task(4, DENSE, rows=90, pseudo=10), task(5, standard), task(6, standard)),
        *(task(7, Recipe("mlp")), task(8, Recipe("mlp")), task(9, FAST)),
    ]
    groups = [[one.member for one in group] for group in at_once._groups(tasks)]
    assert groups == [[0, 2, 4], [1, 9], [3], [5], [6], [7], [8]]


@pytest.mark.parametrize(
    ("backend", "options", "at_a_time"),
    [
        ("jax", {"gpus": 1}, 2),
        ("jax", {"gpus": 1, "workers": 1}, None),
        ("jax", {}, None),
        ("tensorflow", {"gpus": 1}, None),
    ],
)
def test_a_gpu_and_jax_train_at_once(
    monkeypatch: pytest.MonkeyPatch, backend: str, options: dict[str, int], at_a_time: int | None
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    executor = local_executor(**options)
    described = executor.describe([task(0, DENSE), task(1, DENSE)])
    assert described.get("members_at_once") == at_a_time
    assert json.dumps(described)


def test_convolutions_as_products_equal_keras() -> None:
    pytest.importorskip("jax", reason="JAX is missing: pip install -e '.[jax]'")
    rng = np.random.default_rng(0)
    for side, size, strides, padding in [
        (7, (5, 5), (2, 2), "same"),
        (14, (3, 3), (1, 1), "same"),
        (28, (4, 3), (1, 2), "same"),
        (11, (3, 3), (3, 3), "valid"),
    ]:
        images = rng.normal(size=(3, side, side, 4)).astype(np.float32)
        kernel = rng.normal(size=(*size, 4, 5)).astype(np.float32)
        expected = keras().ops.conv(images, kernel, strides=strides, padding=padding)
        found = at_once._patches_times_kernel(images, kernel, strides=strides, padding=padding)
        assert np.allclose(found, expected, atol=1e-4)
