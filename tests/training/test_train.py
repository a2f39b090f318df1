"""Whole trainings: their files, reproducibility, interruption and resuming."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError, RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs import run as run_module
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import list_runs, open_run
from kaggle_digits.training import fold
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.train import resume, train
from tests.support.trainings import (
    DENSE,
    FOLDS,
    MLP,
    TWO,
    CopyAfter,
    RecordStarts,
    StopAfter,
    identical,
)


@pytest.fixture(scope="module")
def full_run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted training of three folds."""
    return train(dataset, DENSE, FOLDS, runs_dir=tmp_path_factory.mktemp("runs"))


def test_run_folder_has_the_documented_files_and_values(full_run: Run, dataset: Dataset) -> None:
    names = {
        str(path.relative_to(full_run.path)) for path in full_run.path.rglob("*") if path.is_file()
    }
    assert {"config.json", "metrics.json", "history.csv", "oof.npy", "test.npy"} <= names
    assert {f"members/{k}/model.keras" for k in range(3)} <= names
    assert not [name for name in names if "part" in name or "checkpoint" in name]
    config, metrics = full_run.config(), full_run.metrics()
    assert config["model"] == "dense"
    assert config["recipe"]["widths"] == [64]
    assert config["data"]["source"] == "sample"
    assert config["data"]["train_sha256"] == dataset.train.sha256
    assert config["members"] == 3
    assert metrics["n_val"] == len(dataset.train)
    low, high = metrics["val_accuracy_ci95"]
    assert 0.8 < low < metrics["val_accuracy"] < high < 1
    assert metrics["epochs"] == [3, 3, 3]
    assert "nothing was chosen" in metrics["epoch_choice"]
    history = full_run.read_history()
    assert [row["epoch"] for row in history] == [1, 2, 3] * 3
    assert {row["member"] for row in history} == {0, 1, 2}
    assert history[0]["loss"] > history[2]["loss"] > 0


def test_probabilities_have_shape_dtype_and_sum_to_one(full_run: Run, dataset: Dataset) -> None:
    for array, rows in ((full_run.oof(), dataset.train), (full_run.test(), dataset.test)):
        assert array.shape == (len(rows), 10)
        assert array.dtype == np.float32
        assert np.allclose(array.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("recipe", [DENSE, MLP], ids=lambda recipe: recipe.model)
def test_same_seed_gives_identical_bits(recipe: Recipe, dataset: Dataset, tmp_path: Path) -> None:
    one, again = (train(dataset, recipe, Split(), runs_dir=tmp_path) for _ in range(2))
    other = train(dataset, recipe, Split(seed=1), runs_dir=tmp_path)
    assert identical(one, again)
    assert not identical(one, other)
    assert [run.name for run in list_runs(tmp_path)] == [f"{recipe.model}-{k}" for k in (1, 2, 3)]


def test_resume_after_ctrl_c_gives_identical_bits(
    full_run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    callback = RecordStarts(0, 1)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, DENSE, FOLDS, runs_dir=tmp_path, name=full_run.name, callback=callback)
    # The last checkpoint is of the epoch before, so the interrupted epoch is repeated.
    for at, starts in (((1, 2), [(0, 0), (1, 0)]), ((2, 3), [(1, 1), (2, 0)])):
        check_unfinished(open_run(tmp_path, full_run.name))
        callback = RecordStarts(*at)
        with pytest.raises(KeyboardInterrupt):
            resume(dataset, runs_dir=tmp_path, callback=callback)
        assert callback.starts == starts
    check_unfinished(open_run(tmp_path, full_run.name))
    callback = RecordStarts()
    assert identical(resume(dataset, runs_dir=tmp_path, callback=callback), full_run)
    assert callback.starts == [(2, 2)]


def check_unfinished(run: Run) -> None:
    assert not run.finished
    with pytest.raises(RunError, match=r"resume it: `kd.resume"):
        run.metrics()


@pytest.mark.parametrize("patience", [None, 1])
def test_mlp_resume_gives_identical_bits(
    patience: int | None, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    recipe = MLP.with_changes(patience=patience)
    uninterrupted = train(dataset, recipe, Split(), runs_dir=tmp_path / "a", name="mlp")
    with pytest.raises(KeyboardInterrupt):
        train(
            dataset, recipe, Split(), runs_dir=tmp_path / "b", name="mlp", callback=StopAfter(0, 3)
        )
    assert identical(resume(dataset, runs_dir=tmp_path / "b", name="mlp"), uninterrupted)


def test_resume_with_augmentation_muon_and_averaging_gives_identical_bits(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    recipe = Recipe("cnn", widths=(4, 8, 16), epochs=3, optimizer="muon", views=5)
    recipe = recipe.with_changes(augment=Augmentation(elastic=1.0), dropout=0.2, ema=0.9)
    few = Split(rows=400)
    copy = CopyAfter(3, tmp_path / "a" / "cnn", tmp_path / "b" / "cnn")
    uninterrupted = train(dataset, recipe, few, runs_dir=tmp_path / "a", name="cnn", callback=copy)
    assert identical(resume(dataset, runs_dir=tmp_path / "b", name="cnn"), uninterrupted)
    kept = uninterrupted.config()["recipe"]["augment"]
    assert (kept["rotation"], kept["elastic"]) == (10.0, 1.0)


KILLED = """
import os, signal, sys
from pathlib import Path
from kaggle_digits.data.dataset import load
from kaggle_digits.training import fold
from kaggle_digits.training.train import train
from kaggle_digits.training.callbacks import TrainingCallback
from tests.support.trainings import DENSE, FOLDS

class Kill(TrainingCallback):
    def on_epoch_end(self, row):
        if (row.member, row.epoch) == (1, 2):
            os.kill(os.getpid(), signal.SIGKILL)

fold.CHECKPOINT_INTERVAL = 0.0
train(load(sys.argv[1]), DENSE, FOLDS, runs_dir=sys.argv[2], name=sys.argv[3], callback=Kill())
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 exists on POSIX only")
def test_resume_after_kill_9_gives_identical_bits(
    full_run: Run, dataset: Dataset, sample: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(sample), str(tmp_path), full_run.name]
    killed = subprocess.run(command, capture_output=True, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert identical(resume(dataset, runs_dir=tmp_path), full_run)


def test_patience_keeps_the_best_epoch_and_reports_it(dataset: Dataset, tmp_path: Path) -> None:
    overfitting = Recipe("dense", widths=(64,), epochs=30, learning_rate=0.05, schedule="constant")
    run = train(dataset, overfitting.with_changes(patience=2), Split(), runs_dir=tmp_path)
    metrics, losses = run.metrics(), [row["val_loss"] for row in run.read_history()]
    (kept,) = metrics["kept_epochs"]
    assert losses[kept - 1] == min(losses) == pytest.approx(metrics["val_loss"], rel=1e-4)
    assert len(losses) == min(kept + 2, 30) < 30
    assert "chosen on the same rows" in metrics["epoch_choice"]


def test_training_on_all_rows_measures_nothing(dataset: Dataset, tmp_path: Path) -> None:
    run = train(dataset, MLP, Split("all"), runs_dir=tmp_path)
    metrics = run.metrics()
    assert metrics["val_accuracy"] is None
    assert metrics["n_val"] == 0
    assert metrics["n_train_rows"] == len(dataset.train)
    assert "every labelled row" in metrics["epoch_choice"]
    assert np.isnan(run.oof()).all()
    assert not np.isnan(run.test()).any()


def test_repeats_average_shared_validation_rows(dataset: Dataset, tmp_path: Path) -> None:
    split_config = Split("folds", folds=2, repeats=2)
    run = train(dataset, MLP.with_changes(epochs=1), split_config, runs_dir=tmp_path)
    assert run.metrics()["models_per_row"] == 2
    assert len(run.metrics()["member_val_accuracies"]) == 4
    assert np.allclose(run.oof().sum(axis=1), 1, atol=1e-5)


def test_run_on_fewer_rows_validates_only_these(dataset: Dataset, tmp_path: Path) -> None:
    split_config = Split("folds", folds=2, rows=200)
    run = train(dataset, MLP.with_changes(epochs=1), split_config, runs_dir=tmp_path)
    assert run.oof().shape == (len(dataset.train), 10)
    assert run.metrics()["n_val"] == 200


def test_diverged_training_is_reported_and_leaves_no_folder(
    dataset: Dataset, tmp_path: Path
) -> None:
    diverging = Recipe("softmax", l2=1.0, optimizer="sgd", learning_rate=100.0, schedule="constant")
    with pytest.raises(
        ModelError, match=r"no longer a number in epoch .* lower the learning rate, which is 100"
    ):
        train(dataset, diverging, Split(), runs_dir=tmp_path)
    assert not list_runs(tmp_path)


def test_deleted_member_is_trained_again(full_run: Run, dataset: Dataset, tmp_path: Path) -> None:
    copy = Run(tmp_path / full_run.name)
    shutil.copytree(full_run.path, copy.path)
    shutil.rmtree(copy.member_folder(1))
    resume(dataset, runs_dir=tmp_path, name=full_run.name)
    assert (copy.member_folder(1) / "model.keras").is_file()
    assert identical(copy, full_run)


def test_resume_rejects_other_data_and_a_missing_run(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no unfinished run"):
        resume(dataset, runs_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, MLP, Split(), runs_dir=tmp_path, callback=StopAfter(0, 1))
    config = open_run(tmp_path, "mlp-1").config()
    config["data"]["train_sha256"] = "another"
    open_run(tmp_path, "mlp-1").write_config(config)
    with pytest.raises(RunError, match=r"trained on another train\.csv"):
        resume(dataset, runs_dir=tmp_path)


def test_damaged_checkpoint_does_not_change_the_result(
    full_run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    copy = Run(tmp_path / full_run.name)
    shutil.copytree(full_run.path, copy.path)
    shutil.rmtree(copy.member_folder(2))
    with pytest.raises(KeyboardInterrupt):
        resume(dataset, runs_dir=tmp_path, name=full_run.name, callback=StopAfter(2, 2))
    checkpoint = copy.member_folder(2) / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    (copy.path / run_module.METRICS_FILE).unlink()
    assert identical(resume(dataset, runs_dir=tmp_path), full_run)


def test_checkpoint_of_another_model_is_reported(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, DENSE, Split(), runs_dir=tmp_path, callback=StopAfter(0, 2))
    run = open_run(tmp_path, "dense-1")
    config = run.config()
    config["recipe"]["widths"] = [48]
    run.write_config(config)
    with pytest.raises(ModelError, match=r"does not fit the model as it is now.* `kd.resume"):
        resume(dataset, runs_dir=tmp_path)
    shutil.rmtree(run.member_folder(0))
    assert resume(dataset, runs_dir=tmp_path).finished


def test_damaged_member_is_reported(full_run: Run, dataset: Dataset, tmp_path: Path) -> None:
    copy = Run(tmp_path / full_run.name)
    shutil.copytree(full_run.path, copy.path)
    (copy.path / run_module.METRICS_FILE).unlink()
    (copy.member_folder(1) / "validation.npy").write_bytes(b"")
    with pytest.raises(RunError, match=r"validation\.npy of member 1 of run dense-1 is damaged"):
        resume(dataset, runs_dir=tmp_path)
    shutil.rmtree(copy.member_folder(1))
    assert identical(resume(dataset, runs_dir=tmp_path), full_run)


@pytest.fixture(scope="module")
def linear(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three folds."""
    folder = tmp_path_factory.mktemp("runs")
    return train(dataset, Recipe("linear"), FOLDS, runs_dir=folder, name="linear")


@pytest.fixture
def linear_run(linear: Run, tmp_path: Path) -> Run:
    """A copy of the run, to be damaged."""
    return Run(shutil.copytree(linear.path, tmp_path / "linear"))


def test_members_of_other_folds_are_not_put_on_the_rows_of_these(
    linear_run: Run, dataset: Dataset
) -> None:
    config, run = linear_run.config(), linear_run
    shutil.rmtree(run.member_folder(2))
    for change in (
        {"split_fingerprint": "0" * 16},  # another version of scikit-learn made the folds
        {"split_fingerprint": None},
        {"split": {**config["split"], "seed": 1}},
        {"split": {**config["split"], "kind": "all"}},
    ):
        run.write_config({**config, **change})
        with pytest.raises(RunError, match=r"cannot be reproduced .* train it again under another"):
            resume(dataset, runs_dir=run.path.parent, name="linear")
    run.write_config({**config, "members": 4})
    with pytest.raises(RunError, match="counts 4 members, but its split and recipe make 3"):
        resume(dataset, runs_dir=run.path.parent, name="linear")
    assert not run.member_folder(2).exists()


def test_exchanged_members_are_noticed(linear_run: Run, dataset: Dataset) -> None:
    first, second = linear_run.member_folder(0), linear_run.member_folder(1)
    first.rename(first.with_name("x"))
    second.rename(first)
    first.with_name("x").rename(second)
    (linear_run.path / "metrics.json").unlink()
    with pytest.raises(RunError, match="member 0 of run linear held out other rows; delete"):
        resume(dataset, runs_dir=linear_run.path.parent, name="linear")


@pytest.mark.parametrize("name", ["oof.npy", "test.npy", "history.csv", "metrics.json"])
def test_deleted_result_is_written_again(linear_run: Run, dataset: Dataset, name: str) -> None:
    before = (linear_run.path / name).read_bytes()
    (linear_run.path / name).unlink()
    resume(dataset, runs_dir=linear_run.path.parent, name="linear")
    if name == "metrics.json":
        assert linear_run.finished
    else:
        assert (linear_run.path / name).read_bytes() == before


def test_images_in_training_and_validation_rows_are_reported(
    dataset: Dataset, tmp_path: Path
) -> None:
    class Warnings(TrainingCallback):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def on_warning(self, text: str) -> None:
            self.texts.append(text)

    images, callback = dataset.train.images.copy(), Warnings()
    images[-300:] = images[:300]
    doubled = replace(dataset, train=replace(dataset.train, images=images))
    run = train(doubled, MLP, FOLDS, runs_dir=tmp_path, callback=callback)
    (text,) = callback.texts
    count = run.config()["val_rows_also_trained_on"]
    assert 300 < count < 600
    assert text.startswith(f"{count} validation rows have the same image as a training row")
    again = train(dataset, MLP, FOLDS, runs_dir=tmp_path, callback=callback)
    assert again.config()["val_rows_also_trained_on"] == 0
    assert len(callback.texts) == 1


def test_every_recipe_is_trained_on_every_fold(ensemble: Run, dataset: Dataset) -> None:
    config, metrics = ensemble.config(), ensemble.metrics()
    assert ensemble.name == "two-1"
    assert config["model"] == "dense + mlp"
    assert config["members"] == len(metrics["epochs"]) == 6
    assert metrics["epochs"] == [3, 3, 3, 10, 10, 10]
    assert metrics["models_per_row"] == 2
    assert metrics["n_val"] == len(dataset.train)
    kinds = [sorted(p.suffix for p in ensemble.member_folder(k).glob("model.*")) for k in range(6)]
    assert kinds == [[".keras", ".tflite"]] * 3 + [[".skops"]] * 3


def test_ensemble_has_the_folds_of_a_single_recipe(ensemble: Run, dataset: Dataset) -> None:
    folds = split(dataset.labels, FOLDS)
    oofs = np.full((2, len(dataset.train), 10), np.nan, np.float32)
    for member in range(6):
        rows = folds[member % 3].val
        oofs[member // 3, rows] = np.load(ensemble.member_folder(member) / "validation.npy")
    accuracies = [design["val_accuracy"] for design in ensemble.metrics()["designs"]]
    measured = [score(oof, dataset.labels) for oof in oofs]
    assert accuracies == [one.accuracy for one in measured if one]


def test_metrics_of_each_recipe_are_written(ensemble: Run, dataset: Dataset) -> None:
    metrics = ensemble.metrics()
    designs = metrics["designs"]
    assert [design["model"] for design in designs] == ["dense", "mlp"]
    assert sum(design["weight"] for design in designs) == pytest.approx(1)
    assert all(0.2 <= design["temperature"] <= 5 for design in designs)
    right = round(metrics["val_accuracy"] * metrics["n_val"])
    alone = round(designs[1]["val_accuracy"] * metrics["n_val"])
    assert designs[0]["adds"]["right"] == right - alone
    assert metrics["val_loss"] == pytest.approx(
        score(ensemble.oof(), dataset.labels).log_loss  # type: ignore[union-attr]
    )


def test_interrupted_ensemble_resumes(ensemble: Run, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(dataset, TWO, FOLDS, runs_dir=tmp_path, name="two-1", callback=StopAfter(1, 2))
    callback = RecordStarts(4, 5)
    with pytest.raises(KeyboardInterrupt):
        resume(dataset, runs_dir=tmp_path, callback=callback)
    assert [member for member, _ in callback.starts] == [1, 2, 3, 4]
    callback = RecordStarts()
    assert identical(resume(dataset, runs_dir=tmp_path, callback=callback), ensemble)
    assert [member for member, _ in callback.starts] == [4, 5]


def test_ensemble_trained_on_all_rows_is_the_plain_mean(dataset: Dataset, tmp_path: Path) -> None:
    run = train(dataset, TWO.with_changes(epochs=1), Split("all"), runs_dir=tmp_path)
    metrics = run.metrics()
    assert metrics["val_accuracy"] is None
    assert [design["weight"] for design in metrics["designs"]] == [0.5, 0.5]
    assert [design["temperature"] for design in metrics["designs"]] == [1, 1]
    tests = [np.load(run.member_folder(k) / "test.npy") for k in range(2)]
    assert np.allclose(run.test(), np.mean(tests, axis=0), atol=1e-6)


def test_few_validation_rows_give_the_plain_mean(dataset: Dataset, tmp_path: Path) -> None:
    two = EnsembleRecipe("two", (Recipe("linear"), MLP.with_changes(epochs=1)))
    metrics = train(dataset, two, Split(rows=200), runs_dir=tmp_path).metrics()
    assert metrics["n_val"] == 20
    assert metrics["weights_help"] is None
    assert [design["weight"] for design in metrics["designs"]] == [0.5, 0.5]


def test_graphs_of_earlier_trainings_are_freed(dataset: Dataset, tmp_path: Path) -> None:
    """TensorFlow itself would keep one of several MB per training."""
    pytest.importorskip("tensorflow")

    def graphs() -> int:
        train(dataset, Recipe("softmax", epochs=1), Split(rows=200), runs_dir=tmp_path)
        gc.collect()
        return sum(type(item).__name__ == "FuncGraph" for item in gc.get_objects())

    first = graphs()
    assert [graphs() for _ in range(2)] == [first, first]
