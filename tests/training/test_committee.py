"""Several designs in one run: trained on the same parts, resumed, put together honestly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import open_run
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.predict import predict_oof, predict_test
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe, read_recipe
from kaggle_digits.training.recipes import RECIPES, find_recipe
from kaggle_digits.training.train import resume, train
from tests.training.test_train import DENSE, MLP, StopAfter, same

TWO = EnsembleRecipe("two", (DENSE, MLP.with_changes(widths=(32,), epochs=10)), folds=3)
FOLDS = Split("folds", folds=TWO.folds)


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two designs on three folds, undisturbed."""
    return train(dataset, TWO, FOLDS, runs_dir=tmp_path_factory.mktemp("runs"))


def test_every_design_learns_every_part(whole: Run, dataset: Dataset) -> None:
    config, metrics = whole.config(), whole.metrics()
    assert whole.name == "two-1"
    assert config["model"] == "dense + mlp"
    assert config["members"] == len(metrics["epochs"]) == 6
    assert metrics["epochs"] == [3, 3, 3, 10, 10, 10]
    assert metrics["models_per_row"] == 2
    assert metrics["n_val"] == len(dataset.train)
    kinds = [sorted(p.suffix for p in whole.member_folder(k).glob("model.*")) for k in range(6)]
    assert kinds == [[".keras", ".tflite"]] * 3 + [[".skops"]] * 3


def test_the_parts_are_those_of_a_run_of_one_design(whole: Run, dataset: Dataset) -> None:
    parts = split(dataset.labels, FOLDS)
    oofs = np.full((2, len(dataset.train), 10), np.nan, np.float32)
    for member in range(6):
        rows = parts[member % 3].val
        oofs[member // 3, rows] = np.load(whole.member_folder(member) / "validation.npy")
    accuracies = [design["val_accuracy"] for design in whole.metrics()["designs"]]
    measured = [score(oof, dataset.labels) for oof in oofs]
    assert accuracies == [one.accuracy for one in measured if one]


def test_what_each_design_is_worth_is_said(whole: Run, dataset: Dataset) -> None:
    metrics = whole.metrics()
    designs = metrics["designs"]
    assert [design["model"] for design in designs] == ["dense", "mlp"]
    assert sum(design["weight"] for design in designs) == pytest.approx(1)
    assert all(0.2 <= design["temperature"] <= 5 for design in designs)
    right = round(metrics["val_accuracy"] * metrics["n_val"])
    alone = round(designs[1]["val_accuracy"] * metrics["n_val"])
    assert designs[0]["adds"]["right"] == right - alone
    assert metrics["val_loss"] == pytest.approx(
        score(whole.oof(), dataset.labels).log_loss  # type: ignore[union-attr]
    )


def test_predicting_again_gives_the_same_answers(whole: Run, dataset: Dataset) -> None:
    assert np.allclose(predict_test(whole, dataset), whole.test(), atol=1e-5)


def test_held_out_rows_are_predicted_again_by_the_same_weights(
    whole: Run, dataset: Dataset
) -> None:
    parts, expected = split(dataset.labels, FOLDS), np.zeros((len(dataset.train), 10))
    for place, design in enumerate(whole.metrics()["designs"]):
        for part, rows in enumerate(parts):
            alone = np.load(whole.member_folder(3 * place + part) / "validation.npy")
            tempered = apply_temperature(alone, design["temperature"])
            expected[rows.val] += design["weight"] * tempered
    again = predict_oof(whole, dataset, 1)[1]
    assert np.allclose(again, expected, atol=1e-5)


@pytest.mark.parametrize("at", [(1, 2), (4, 5)])
def test_an_interrupted_committee_goes_on(
    at: tuple[int, int], whole: Run, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(dataset, TWO, FOLDS, runs_dir=tmp_path, name="two-1", callback=StopAfter(*at))
    started = []

    class Starts(TrainingCallback):
        def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
            started.append(member)

    assert same(resume(dataset, runs_dir=tmp_path, callback=Starts()), whole)
    assert started == list(range(at[0], 6))


def test_trained_on_all_rows_it_is_a_plain_mean(dataset: Dataset, tmp_path: Path) -> None:
    run = train(dataset, TWO.with_changes(epochs=1), Split("all"), runs_dir=tmp_path)
    metrics = run.metrics()
    assert metrics["val_accuracy"] is None
    assert [design["weight"] for design in metrics["designs"]] == [0.5, 0.5]
    assert [design["temperature"] for design in metrics["designs"]] == [1, 1]
    tests = [np.load(run.member_folder(k) / "test.npy") for k in range(2)]
    assert np.allclose(run.test(), np.mean(tests, axis=0), atol=1e-6)


def test_changes_reach_every_design() -> None:
    changed = TWO.with_changes(epochs=7, patience=None)
    assert [design.epochs for design in changed.recipes] == [7, 7]
    assert changed.folds == 3


def test_it_is_written_and_read_back() -> None:
    for recipe in (TWO, DENSE, *RECIPES.values()):
        assert read_recipe(recipe.to_json()) == recipe


def test_a_damaged_one_says_so() -> None:
    content = TWO.to_json()
    del content["folds"]
    with pytest.raises(RunError, match="train it again"):
        read_recipe(content)
    with pytest.raises(UsageError, match="has no design"):
        EnsembleRecipe("none", ())


def test_best_is_a_committee_of_different_designs() -> None:
    best = find_recipe("best")
    assert isinstance(best, EnsembleRecipe)
    assert len({design.model for design in best.recipes}) == len(best.recipes) > 1


def test_the_kept_recipe_is_that_of_the_run(whole: Run) -> None:
    assert read_recipe(open_run(whole.path.parent, whole.name).config()["recipe"]) == TWO
    assert isinstance(read_recipe(Recipe("dense").to_json()), Recipe)
