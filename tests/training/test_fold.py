"""Fitting one model on one fold."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.models.backend import keras
from kaggle_digits.models.registry import register_function
from kaggle_digits.training import keras_trainer
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import FoldTask, fit_fold, make_trainer
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.recipe import Recipe

SMALL: dict[str, Any] = {
    "widths": (16,),
    "epochs": 2,
    "batch_size": 32,
    "dropout": 0.3,
    "augment": Augmentation(rotation=10),
}


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("dense", ema=0.9, **SMALL),
        Recipe("dense", patience=1, optimizer="sgd", **SMALL),
        Recipe("cnn", widths=(4, 4, 8), epochs=1, optimizer="muon"),
    ],
    ids=["averaged", "best epoch", "convolutions"],
)
def test_graphs_of_the_model_before_do_not_change_the_result(
    recipe: Recipe, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[KerasTrainer] = []
    take_over = KerasTrainer.take_over

    def record(trainer: KerasTrainer, other: KerasTrainer) -> None:
        taken.append(trainer)
        take_over(trainer, other)

    monkeypatch.setattr(KerasTrainer, "take_over", record)
    folds = split(dataset.labels, Split("folds", folds=2, seed=1, rows=200))
    test = replace(dataset.test, images=dataset.test.images[:50])
    tasks = [FoldTask(member, recipe, one, seed=member) for member, one in enumerate(folds)]
    keras_trainer._fitted.clear()
    fit_fold(tasks[0], dataset.train, test)
    after = fit_fold(tasks[1], dataset.train, test)
    assert len(taken) == 1
    keras_trainer._fitted.clear()
    alone = fit_fold(tasks[1], dataset.train, test)
    assert len(taken) == 1
    np.testing.assert_array_equal(after.val_probabilities, alone.val_probabilities)
    np.testing.assert_array_equal(after.test_probabilities, alone.test_probabilities)
    assert [row[:-1] for row in map(astuple, after.history)] == [
        row[:-1] for row in map(astuple, alone.history)
    ]
    assert after.kept_epoch == alone.kept_epoch


def users_network() -> Any:
    k = keras()
    return k.Sequential([k.Input((28, 28, 1)), k.layers.Flatten(), k.layers.Dense(10)])


def test_graphs_serve_only_the_same_settings_and_no_model_of_the_user(dataset: Dataset) -> None:
    (one,) = split(dataset.labels, Split("holdout", val_fraction=0.5))
    recipe = Recipe("dense", widths=(8,), epochs=1)
    result = fit_fold(FoldTask(0, recipe, one, seed=0, litert=False), dataset.train, dataset.test)
    assert result.litert_bytes is None
    (kept,) = keras_trainer._fitted.values()
    for other in (recipe.with_changes(learning_rate=0.1), recipe.with_changes(normalize="l2")):
        trainer = make_trainer(other, dataset.train.images[one.train], dataset.labels[one.train], 0)
        assert trainer is not kept
        assert not keras_trainer._fitted
    users = Recipe(register_function(users_network), epochs=1)
    fit_fold(FoldTask(0, users, one, seed=0), dataset.train, dataset.test)
    assert not keras_trainer._fitted
