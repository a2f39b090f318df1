"""Whole trainings: what they leave, that they repeat, and that nothing interrupts them for good."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError, RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.runs import run as run_module
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import list_runs, open_run
from kaggle_digits.training import fold
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import resume, train

DENSE = Recipe("dense", widths=(64,), epochs=3, batch_size=32, learning_rate=0.01)
MLP = Recipe("mlp", widths=(16,), epochs=4, batch_size=100)
FOLDS = Split("folds", folds=3)


def same(one: Run, other: Run) -> bool:
    """Whether two runs agree bit for bit in all that was computed."""
    figures = [
        {k: v for k, v in run.metrics().items() if k not in ("train_seconds", "finished")}
        for run in (one, other)
    ]
    for metrics in figures:
        metrics.pop("peak_memory_mb")
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in run.history()]
        for run in (one, other)
    ]
    return (
        np.array_equal(one.oof(), other.oof(), equal_nan=True)
        and np.array_equal(one.test(), other.test())
        and figures[0] == figures[1]
        and str(rows[0]) == str(rows[1])
    )


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A three-fold training that nobody disturbed."""
    return train(dataset, DENSE, FOLDS, runs_dir=tmp_path_factory.mktemp("runs"))


def test_a_run_folder_holds_what_the_contract_says(whole: Run, dataset: Dataset) -> None:
    names = {str(path.relative_to(whole.path)) for path in whole.path.rglob("*") if path.is_file()}
    assert {"config.json", "metrics.json", "history.csv", "oof.npy", "test.npy"} <= names
    assert {f"members/{k}/model.keras" for k in range(3)} <= names
    assert not [name for name in names if "part" in name or "checkpoint" in name]
    config, metrics = whole.config(), whole.metrics()
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
    history = whole.history()
    assert [row["epoch"] for row in history] == [1, 2, 3] * 3
    assert {row["member"] for row in history} == {0, 1, 2}
    assert history[0]["loss"] > history[2]["loss"] > 0


def test_probabilities_are_probabilities(whole: Run, dataset: Dataset) -> None:
    for array, rows in ((whole.oof(), dataset.train), (whole.test(), dataset.test)):
        assert array.shape == (len(rows), 10)
        assert array.dtype == np.float32
        assert np.allclose(array.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("recipe", [DENSE, MLP], ids=lambda recipe: recipe.model)
def test_the_same_seed_repeats_bit_for_bit(
    recipe: Recipe, dataset: Dataset, tmp_path: Path
) -> None:
    one, again = (train(dataset, recipe, Split(), runs_dir=tmp_path) for _ in range(2))
    other = train(dataset, recipe, Split(seed=1), runs_dir=tmp_path)
    assert same(one, again)
    assert not same(one, other)
    assert [run.name for run in list_runs(tmp_path)] == [f"{recipe.model}-{k}" for k in (1, 2, 3)]


class StopAfter(TrainingCallback):
    """Ctrl-C when ``epoch`` of ``member`` has ended."""

    def __init__(self, member: int, epoch: int) -> None:
        self.at = (member, epoch)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        if (row.member, row.epoch) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [(0, 1), (1, 2), (2, 3)])
def test_ctrl_c_then_resume_ends_at_the_same_figures(
    at: tuple[int, int],
    whole: Run,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, DENSE, FOLDS, runs_dir=tmp_path, name=whole.name, callback=StopAfter(*at))
    run = open_run(tmp_path, whole.name)
    assert not run.finished
    with pytest.raises(RunError, match="resume it: kd train --resume"):
        run.metrics()
    first_epochs = []

    class Starts(TrainingCallback):
        def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
            first_epochs.append((member, first_epoch))

    resumed = resume(dataset, runs_dir=tmp_path, callback=Starts())
    assert same(resumed, whole)
    member, epoch = at
    # The checkpoint of the epoch before stands: the one that was interrupted is repeated.
    assert first_epochs == [(member, epoch - 1), *[(k, 0) for k in range(member + 1, 3)]]


@pytest.mark.parametrize("patience", [None, 1])
def test_mlp_resumes_bit_for_bit(
    patience: int | None, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    recipe = MLP.with_changes(patience=patience)
    undisturbed = train(dataset, recipe, Split(), runs_dir=tmp_path / "a", name="mlp")
    with pytest.raises(KeyboardInterrupt):
        train(
            dataset, recipe, Split(), runs_dir=tmp_path / "b", name="mlp", callback=StopAfter(0, 3)
        )
    assert same(resume(dataset, runs_dir=tmp_path / "b", name="mlp"), undisturbed)


def test_augmentation_muon_and_averaging_resume_bit_for_bit(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    recipe = Recipe("cnn", widths=(4, 8, 16), epochs=3, optimizer="muon", views=5)
    recipe = recipe.with_changes(augment=Augmentation(elastic=1.0), dropout=0.2, ema=0.9)
    undisturbed = train(dataset, recipe, Split(), runs_dir=tmp_path / "a", name="cnn")
    with pytest.raises(KeyboardInterrupt):
        train(
            dataset, recipe, Split(), runs_dir=tmp_path / "b", name="cnn", callback=StopAfter(0, 3)
        )
    assert same(resume(dataset, runs_dir=tmp_path / "b", name="cnn"), undisturbed)
    kept = undisturbed.config()["recipe"]["augment"]
    assert (kept["rotation"], kept["elastic"]) == (10.0, 1.0)


KILLED = """
import os, signal, sys
from pathlib import Path
from kaggle_digits.data.dataset import load
from kaggle_digits.training import fold
from kaggle_digits.training.train import train
from kaggle_digits.training.callbacks import TrainingCallback
from tests.training.test_train import DENSE, FOLDS

class Kill(TrainingCallback):
    def on_epoch_end(self, row):
        if (row.member, row.epoch) == (1, 2):
            os.kill(os.getpid(), signal.SIGKILL)

fold.CHECKPOINT_INTERVAL = 0.0
train(load(sys.argv[1]), DENSE, FOLDS, runs_dir=sys.argv[2], name=sys.argv[3], callback=Kill())
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_kill_9_then_resume_ends_at_the_same_figures(
    whole: Run, dataset: Dataset, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from kaggle_digits.sources import fetch

    fetch("sample", tmp_path / "data")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(tmp_path), whole.name]
    killed = subprocess.run(command, capture_output=True, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert same(resume(dataset, runs_dir=tmp_path), whole)


def test_patience_keeps_the_best_epoch_and_says_so(dataset: Dataset, tmp_path: Path) -> None:
    eager = Recipe("dense", widths=(64,), epochs=30, learning_rate=0.05, schedule="constant")
    run = train(dataset, eager.with_changes(patience=2), Split(), runs_dir=tmp_path)
    metrics, losses = run.metrics(), [row["val_loss"] for row in run.history()]
    (kept,) = metrics["kept_epochs"]
    assert losses[kept - 1] == min(losses) == pytest.approx(metrics["val_loss"], rel=1e-4)
    assert len(losses) == min(kept + 2, 30) < 30
    assert "chosen on the same rows" in metrics["epoch_choice"]


def test_all_rows_holds_nothing_out_and_says_so(dataset: Dataset, tmp_path: Path) -> None:
    run = train(dataset, MLP, Split("all"), runs_dir=tmp_path)
    metrics = run.metrics()
    assert metrics["val_accuracy"] is None
    assert metrics["n_val"] == 0
    assert metrics["n_train_rows"] == len(dataset.train)
    assert "every labelled row" in metrics["epoch_choice"]
    assert np.isnan(run.oof()).all()
    assert not np.isnan(run.test()).any()


def test_repeats_average_the_rows_they_share(dataset: Dataset, tmp_path: Path) -> None:
    how = Split("folds", folds=2, repeats=2)
    run = train(dataset, MLP.with_changes(epochs=1), how, runs_dir=tmp_path)
    assert run.metrics()["models_per_row"] == 2
    assert len(run.metrics()["member_val_accuracies"]) == 4
    assert np.allclose(run.oof().sum(axis=1), 1, atol=1e-5)


def test_a_run_on_fewer_rows_validates_only_those(dataset: Dataset, tmp_path: Path) -> None:
    how = Split("folds", folds=2, rows=200)
    run = train(dataset, MLP.with_changes(epochs=1), how, runs_dir=tmp_path)
    assert run.oof().shape == (len(dataset.train), 10)
    assert run.metrics()["n_val"] == 200


def test_a_training_that_diverges_says_so_and_leaves_no_folder(
    dataset: Dataset, tmp_path: Path
) -> None:
    wild = Recipe("softmax", l2=1.0, optimizer="sgd", learning_rate=100.0, schedule="constant")
    with pytest.raises(ModelError, match=r"no longer a number in epoch .* --learning-rate 10"):
        train(dataset, wild, Split(), runs_dir=tmp_path)
    assert not list_runs(tmp_path)


def test_a_member_that_was_deleted_is_trained_again(
    whole: Run, dataset: Dataset, tmp_path: Path
) -> None:
    copy = Run(tmp_path / whole.name)
    shutil.copytree(whole.path, copy.path)
    shutil.rmtree(copy.member_folder(1))
    resume(dataset, runs_dir=tmp_path, name=whole.name)
    assert (copy.member_folder(1) / "model.keras").is_file()
    assert same(copy, whole)


def test_resume_refuses_other_data_and_nothing_to_resume(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no unfinished run"):
        resume(dataset, runs_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, MLP, Split(), runs_dir=tmp_path, callback=StopAfter(0, 1))
    config = open_run(tmp_path, "mlp-1").config()
    config["data"]["train_sha256"] = "another"
    open_run(tmp_path, "mlp-1").write_config(config)
    with pytest.raises(RunError, match=r"trained with another train\.csv"):
        resume(dataset, runs_dir=tmp_path)


def test_a_damaged_checkpoint_costs_time_not_figures(
    whole: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, DENSE, FOLDS, runs_dir=tmp_path, name=whole.name, callback=StopAfter(2, 2))
    checkpoint = tmp_path / whole.name / "members" / "2" / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert same(resume(dataset, runs_dir=tmp_path), whole)


def test_a_checkpoint_of_another_model_is_named(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, DENSE, Split(), runs_dir=tmp_path, callback=StopAfter(0, 2))
    run = open_run(tmp_path, "dense-1")
    config = run.config()
    config["recipe"]["widths"] = [48]
    run.write_config(config)
    with pytest.raises(ModelError, match=r"does not fit the model as it is now.* --resume"):
        resume(dataset, runs_dir=tmp_path)
    shutil.rmtree(run.member_folder(0))
    assert resume(dataset, runs_dir=tmp_path).finished


def test_a_damaged_member_is_named(whole: Run, dataset: Dataset, tmp_path: Path) -> None:
    copy = Run(tmp_path / whole.name)
    shutil.copytree(whole.path, copy.path)
    (copy.path / run_module.METRICS_FILE).unlink()
    (copy.member_folder(1) / "validation.npy").write_bytes(b"")
    with pytest.raises(RunError, match="member 1 of run dense-1 is damaged"):
        resume(dataset, runs_dir=tmp_path)
    shutil.rmtree(copy.member_folder(1))
    assert same(resume(dataset, runs_dir=tmp_path), whole)
