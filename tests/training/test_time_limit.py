"""Trainings that must end in time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices, Split, split
from kaggle_digits.runs.store import open_run
from kaggle_digits.training import fold, time_limit
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.executor import Cost
from kaggle_digits.training.fold import FoldTask
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.recipes import RECIPES
from kaggle_digits.training.time_limit import (
    MAX_REPEATS,
    TimeLimit,
    choose_recipe,
    default_limit,
    measure,
    shorten,
)
from kaggle_digits.training.train import resume, train
from tests.support.trainings import DENSE, MLP, TWO, StopAfter

LONG = MLP.with_changes(epochs=40)


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Cost:
    """What every model costs: 1 s to start, 2 s per epoch, 3 s to predict."""
    fixed = Cost(1.0, 2.0, 3.0)
    monkeypatch.setattr(time_limit, "measure", lambda *_: fixed)
    monkeypatch.setattr(time_limit, "PLANNED_SHARE", 1.0)
    return fixed


@pytest.mark.usefixtures("cost")
@pytest.mark.parametrize(
    ("seconds", "epochs", "kind", "folds"),
    [
        (1000, 40, "folds", 5),
        (322, 30, "folds", 5),  # 5 · (4 + 30 · 2) = 320
        (202, 31, "folds", 3),  # 5 folds would leave 18 epochs, fewer than half
        (61.5, 28, "holdout", 5),
        (15.9, 5, "holdout", 5),
    ],
)
def test_epochs_then_members_are_left_out(
    seconds: float, epochs: int, kind: str, folds: int, dataset: Dataset
) -> None:
    split_config = Split("folds", folds=5, seed=3)
    recipe, shortened, record = shorten(TimeLimit(seconds), dataset, LONG, split_config)
    assert recipe == LONG.with_changes(epochs=epochs)
    assert (shortened.kind, shortened.folds, shortened.seed) == (kind, folds, 3)
    members = folds if kind == "folds" else 1
    assert f"{epochs} of 40 epochs, {members} of 5 members" in record["summary"]


@pytest.mark.usefixtures("cost")
def test_an_ensemble_becomes_a_single_recipe(dataset: Dataset) -> None:
    recipe, split_config, _ = shorten(TimeLimit(80), dataset, TWO, Split("folds", folds=3))
    assert isinstance(recipe, EnsembleRecipe)
    assert [one.epochs for one in recipe.recipes] == [2, 7]
    recipe, split_config, _ = shorten(TimeLimit(9), dataset, TWO, Split("folds", folds=3))
    assert (recipe, split_config.kind) == (DENSE.with_changes(epochs=2), "holdout")


FILLED = replace(TWO, fills_time=True)


@pytest.mark.usefixtures("cost")
@pytest.mark.parametrize(
    ("seconds", "asked", "repeats", "epochs"),
    [
        (310, 1, 3, [3, 10]),  # 3 · (8 + 3 · 2 + 10 · 2) = 102 for each repeat
        (1e9, 1, MAX_REPEATS, [3, 10]),
        (87, 1, 1, [2, 8]),  # not enough for one repeat: fewer epochs
        (1e9, 2, 2, [3, 10]),  # --repeats 2
    ],
)
def test_a_recipe_that_fills_the_time_is_repeated(
    seconds: float, asked: int, repeats: int, epochs: list[int], dataset: Dataset
) -> None:
    split_config = Split("folds", folds=3, repeats=asked)
    recipe, chosen, record = shorten(TimeLimit(seconds + 3), dataset, FILLED, split_config)
    assert chosen == replace(split_config, repeats=repeats)
    assert [one.epochs for one in recipe.recipes] == epochs
    # So that config.json says what is trained, and resuming repeats it.
    assert not recipe.fills_time
    assert f"{6 * repeats} of {6 * repeats} members" in record["summary"]


def test_the_default_limit_of_a_gpu_begins_after_its_start(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_limit(TWO) is None
    limits = []
    for cards in ((), ("NVIDIA H100 80GB HBM3, 81559 MiB",)):
        monkeypatch.setattr(time_limit, "gpus", lambda cards=cards: cards)
        limits.append(default_limit(RECIPES["max"]))
    assert [(limit.seconds, limit.after_start) for limit in limits if limit] == [
        (3600, False),
        (60, True),
    ]


@pytest.mark.usefixtures("cost")
def test_too_short_a_limit_says_how_long_is_needed(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match=r"5 s are not enough: .* need about 6 s here"):
        shorten(TimeLimit(5), dataset, LONG, Split())


@pytest.mark.usefixtures("cost")
@pytest.mark.parametrize(("seconds", "name"), [(1e6, "best"), (500, "strong"), (10, "fast")])
def test_the_best_recipe_for_the_time_is_chosen(
    seconds: float, name: str, dataset: Dataset
) -> None:
    def split_of(recipe: Recipe | EnsembleRecipe) -> Split:
        return Split("folds" if isinstance(recipe, EnsembleRecipe) else "holdout")

    chosen, limit = choose_recipe(TimeLimit(seconds), dataset, split_of)
    assert chosen == name
    assert f"chose {name}: best needs about" in limit.reason
    assert chosen in RECIPES


def test_the_predictions_count_in_the_choice_of_a_recipe(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few rows, the nine views of each test image take longer than the training."""
    monkeypatch.setattr(time_limit, "measure", lambda *_: Cost(1.0, 0.1, 2.0))
    chosen, limit = choose_recipe(TimeLimit(40), dataset, lambda _: Split(rows=300))
    assert chosen == "cnn"
    # 3.4 times as long as fast: 24 epochs of 0.34 s, and 9 · 2 · 3.4 s for the predictions.
    assert "strong needs about 71 s, cnn needs about 8 s" in limit.reason


@pytest.mark.parametrize("recipe", [MLP, Recipe("linear")], ids=lambda recipe: recipe.model)
def test_a_model_is_timed(recipe: Recipe, dataset: Dataset) -> None:
    rows = np.arange(len(dataset.train))
    cost = measure(recipe, FoldIndices(rows[:1000], rows[1000:]), dataset)
    assert 0 < cost.epoch < 60
    assert 0 <= cost.start < 60
    assert 0 < cost.end < 60


def test_a_limited_run_records_the_limit_and_resumes_with_its_settings(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "measure", lambda *_: Cost(0.0, 2.0, 0.0))
    limited = {"time_limit": 10.0, "runs_dir": tmp_path, "name": "a"}
    with pytest.raises(KeyboardInterrupt):
        train(dataset, LONG, Split(), callback=StopAfter(0, 2), **limited)  # type: ignore[arg-type]
    run = resume(dataset, runs_dir=tmp_path, name="a")
    assert run.config()["recipe"]["epochs"] == 4
    metrics = run.metrics()
    assert metrics["epochs"] == metrics["kept_epochs"] == [4]
    assert metrics["time_limit"]["seconds"] == 10.0
    assert metrics["time_limit"]["skipped_epochs"] == [0]
    assert metrics["time_limit"]["summary"].startswith("mlp: 4 of 40 epochs, 1 of 1 members")
    whole = train(dataset, LONG.with_changes(epochs=4), Split(), runs_dir=tmp_path, name="b")
    assert whole.metrics()["val_accuracy"] == metrics["val_accuracy"]


def test_a_run_that_fills_the_time_resumes_with_its_repeats(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "measure", lambda *_: Cost(0.0, 1.0, 0.0))
    mlp = EnsembleRecipe("filled", (MLP.with_changes(epochs=1),), folds=2, fills_time=True)
    limited = {"time_limit": TimeLimit(7.5, after_start=True), "runs_dir": tmp_path, "name": "a"}
    with pytest.raises(KeyboardInterrupt):
        train(dataset, mlp, Split(folds=2), callback=StopAfter(1, 1), **limited)  # type: ignore[arg-type]
    config = open_run(tmp_path, "a").config()
    assert (config["members"], config["split"]["repeats"]) == (6, 3)
    metrics = resume(dataset, runs_dir=tmp_path, name="a").metrics()
    assert metrics["models_per_row"] == 3
    assert metrics["time_limit"]["summary"].startswith("mlp: 1 of 1 epochs, 6 of 6 members")


def test_epochs_are_skipped_if_they_take_longer_than_measured(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []

    class Messages(TrainingCallback):
        def on_message(self, text: str) -> None:
            messages.append(text)

    monkeypatch.setattr(time_limit, "measure", lambda *_: Cost(0.0, 1e-6, 0.0))
    # Enough time while the training is planned, none afterwards.
    left = property(lambda self: 0.0 if any("40 of 40" in text for text in messages) else 1e9)
    monkeypatch.setattr(TimeLimit, "left", left)
    run = train(
        dataset, LONG, Split(), time_limit=1, callback=Messages(), runs_dir=tmp_path, name="a"
    )
    metrics = run.metrics()
    assert metrics["time_limit"]["skipped_epochs"] == [39]
    assert metrics["epochs"] == [1]
    assert "skips 39 of 40 epochs" in messages[-1]
    assert metrics["val_accuracy"] is not None


@pytest.mark.parametrize(
    ("deadline", "started", "skipped"),
    [(None, 5.0, 0), (1e12, 5.0, 0), (1e12, 0.0, 0), (0.0, 0.0, 10), (0.0, 5.0, 10)],
)
def test_epochs_that_do_not_fit_are_counted(
    deadline: float | None, started: float, skipped: int, dataset: Dataset
) -> None:
    task = FoldTask(0, LONG, split(dataset.labels, Split())[0], 0, deadline=deadline)
    assert fold._skipped(task, 10, started) == skipped


def test_half_of_the_epochs_fit(dataset: Dataset) -> None:
    task = FoldTask(0, LONG, split(dataset.labels, Split())[0], 0, deadline=time.time() + 55)
    assert fold._skipped(task, 10, time.perf_counter() - 10) == 5
