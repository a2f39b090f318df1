"""Trackers: TensorBoard, MLflow and W&B get the values of history.csv and metrics.json."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

import kaggle_digits as kd
from kaggle_digits.cli.main import app
from kaggle_digits.core import progress
from kaggle_digits.core.errors import UsageError
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.trackers import TRACKERS, Tracker, make_callback
from tests.support import small_runs

TAGS = {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run ``one`` of two members, logged to all trackers that are installed."""
    folder = tmp_path_factory.mktemp("tracked")
    small_runs.write_data(folder / "data")
    installed = [name for name in ("mlflow", "wandb") if is_installed(name)]
    log_to = ["--log-to", ",".join(installed)] if installed else []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
            patch.delenv(name, raising=False)
        words = ["train", "--model", "mlp", "--widths", "4", "--epochs", "3", "--folds", "2"]
        words += ["--tensorboard", *log_to, "--name", "one", "--json"]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["run"] == "one"  # no tracker prints to stdout
    assert "left out" not in done.output
    return folder


def is_installed(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def history(folder: Path, member: int) -> list[dict[str, str]]:
    with (folder / "runs/one/history.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["member"] == str(member)]
    assert len(rows) == 3
    return rows


@pytest.mark.parametrize("member", [0, 1])
def test_tensorboard_has_every_epoch_of_every_member(member: int, tracked: Path) -> None:
    rows = history(tracked, member)
    events = EventAccumulator(str(tracked / "runs/one/events" / str(member))).Reload()
    assert set(events.Tags()["scalars"]) >= TAGS
    for tag in events.Tags()["scalars"]:
        found = events.Scalars(tag)
        assert [event.step for event in found] == [1, 2, 3]
        expected = [float(row[tag]) for row in rows]
        assert [event.value for event in found] == pytest.approx(expected)


def test_mlflow_has_settings_metrics_and_files(tracked: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tracked / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'kaggle-digits'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("one", "FINISHED")
    assert run.data.params["recipe.epochs"] == "3"
    assert run.data.params["split.folds"] == "2"
    for tag in TAGS:
        found = client.get_metric_history(run.info.run_id, f"member_1/{tag}")
        assert [(value.step, value.value) for value in found] == [
            (int(row["epoch"]), float(row[tag])) for row in history(tracked, 1)
        ]
    metrics = json.loads((tracked / "runs/one/metrics.json").read_text())
    final = {key: value for key, value in run.data.metrics.items() if key.startswith("final_val_a")}
    low, high = metrics["val_accuracy_ci95"]
    assert final == {
        "final_val_accuracy": metrics["val_accuracy"],
        "final_val_accuracy_ci95_low": low,
        "final_val_accuracy_ci95_high": high,
    }
    paths = {path.name for path in (tracked / "mlruns").rglob("*") if path.is_file()}
    assert paths >= {"config.json", "metrics.json", "history.csv", "model.skops"}


def test_wandb_writes_an_offline_run(tracked: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    (folder,) = (tracked / "wandb").glob("offline-run-*")
    (path,) = folder.glob("*.wandb")
    content = path.read_bytes()
    for text in ("member_1/val_accuracy", "final_val_accuracy_ci95_low", "recipe.epochs"):
        assert text.encode() in content
    assert b"members/1/model.skops" in content


def test_missing_tracker_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(UsageError, match=r"needs tensorboard; install it: pip install"):
        make_callback(None, ["tensorboard"], tmp_path)


def test_unknown_tracker_is_refused_before_anything_is_trained(tracked: Path) -> None:
    words = ["train", "linear", "--log-to", "mlfow", "--data-dir", str(tracked / "data")]
    done = CliRunner().invoke(app, [*words, "--runs-dir", str(tracked / "none")])
    assert done.exit_code == 2
    assert "--log-to mlfow is unknown; did you mean mlflow?" in done.stderr
    assert not (tracked / "none").exists()


class Failing(Tracker):
    """A tracker whose server is gone."""

    package = "failing"

    def log(self, member: int, epoch: int, metrics: dict[str, float]) -> None:
        raise ConnectionError("no server\nat all")


def test_a_tracker_that_fails_does_not_stop_the_training(
    tracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRACKERS, "failing", Failing)
    notes: list[str] = []
    monkeypatch.setattr(progress, "note", notes.append)
    ended: list[str] = []

    class Recorder(TrainingCallback):
        def on_run_end(self, name: str) -> None:
            ended.append(name)

        def on_epoch_end(self, row: EpochMetrics) -> None:
            raise KeyboardInterrupt

    dataset = kd.load(tracked / "data")
    options: dict[str, Any] = {"runs_dir": tmp_path, "log_to": "failing", "name": "two"}
    assert kd.train(dataset, "mlp", widths=(4,), epochs=2, **options).finished
    assert notes.count("failing failed and is left out: no server at all") == 1
    options |= {"name": "three", "callback": Recorder()}
    with pytest.raises(KeyboardInterrupt):
        kd.train(dataset, "mlp", widths=(4,), epochs=2, **options)
    assert ended == ["three"]
