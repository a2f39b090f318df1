"""Log runs to experiment trackers: TensorBoard, MLflow, Weights & Biases.

Nothing leaves this machine unless the tracker's own variables say so, such as MLFLOW_TRACKING_URI
and WANDB_MODE=online. A tracker that fails is left out; the training goes on.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kaggle_digits.core import progress
from kaggle_digits.core.environment import device
from kaggle_digits.core.errors import check_choice, one_line
from kaggle_digits.core.extras import needs
from kaggle_digits.core.text import flatten
from kaggle_digits.models.backend import suppress_native_stderr
from kaggle_digits.runs.run import CONFIG_FILE, HISTORY_FILE, METRICS_FILE, Run
from kaggle_digits.training import callbacks
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback

PROJECT = "kaggle-digits"  # the experiment of MLflow and the project of W&B, unless one is set
TENSORBOARD_FOLDER = "events"  # in a run folder
FINAL_METRICS = ("val_accuracy", "val_loss", "n_val", "temperature", "train_seconds")
MAX_LENGTH = 500  # of a parameter


class Tracker(TrainingCallback):
    """Base class; ``package`` is imported at first, before anything is trained."""

    package = ""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir, self._members, self._is_broken = runs_dir, 1, False
        # TensorBoard looks for TensorFlow.
        with needs(f"`log_to={self.package!r}`", self.package), suppress_native_stderr():
            self.load()

    def load(self) -> None:
        """Import what is needed."""

    def begin(self, run: Run, parameters: dict[str, Any]) -> None:
        """Start or resume logging a run."""

    def log(self, member: int, epoch: int, metrics: dict[str, float]) -> None:
        """Log the metrics of a member after an epoch."""

    def end(self, run: Run, metrics: dict[str, float], artifacts: list[Path]) -> None:
        """Log the metrics and files of a finished run; both are empty if it is not finished."""

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        self._members, run = members, Run(self._runs_dir / name)
        self._try(self.begin, run, describe(run))

    def on_epoch_end(self, row: EpochMetrics) -> None:
        metrics = asdict(row)
        member, epoch = metrics.pop("member"), metrics.pop("epoch")
        metrics = {key: value for key, value in metrics.items() if not math.isnan(value)}
        self._try(self.log, member, epoch, metrics)

    def on_run_end(self, name: str) -> None:
        run, artifacts = Run(self._runs_dir / name), list[Path]()
        if run.finished:
            artifacts = [run.path / file for file in (CONFIG_FILE, METRICS_FILE, HISTORY_FILE)]
            artifacts += sorted(run.path.glob("members/*/model.*"))
        self._try(self.end, run, final_metrics(run) if run.finished else {}, artifacts)

    def _try(self, call: Callable[..., None], *arguments: Any) -> None:
        if self._is_broken:
            return
        try:
            call(*arguments)
        except Exception as error:  # a server, a disk, the user's settings: anything
            self._is_broken = True
            progress.note(f"{self.package} failed and is left out: {one_line(error)}")

    def _name(self, member: int, metric: str) -> str:
        return metric if self._members == 1 else f"member_{member}/{metric}"


class TensorBoardTracker(Tracker):
    """Write the metrics of every epoch to runs/RUN/events/<member>, for ``tensorboard --logdir``.

    It needs no TensorFlow. A resumed run writes another file; TensorBoard joins them.
    """

    package = "tensorboard"

    def load(self) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary, self._writer = Event, Summary, EventFileWriter
        self._writers: dict[int, Any] = {}

    def begin(self, run: Run, parameters: dict[str, Any]) -> None:
        self._folder = run.path / TENSORBOARD_FOLDER

    def log(self, member: int, epoch: int, metrics: dict[str, float]) -> None:
        if member not in self._writers:
            self._writers[member] = self._writer(str(self._folder / str(member)))
        values = [self._summary.Value(tag=tag, simple_value=x) for tag, x in metrics.items()]
        event = self._event(wall_time=time.time(), step=epoch, summary=self._summary(value=values))
        self._writers[member].add_event(event)
        self._writers[member].flush()

    def end(self, run: Run, metrics: dict[str, float], artifacts: list[Path]) -> None:
        while self._writers:
            self._writers.popitem()[1].close()


class MlflowTracker(Tracker):
    """Log to MLflow: MLFLOW_TRACKING_URI, or a database in the current folder."""

    package = "mlflow"

    def load(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._mlflow = mlflow

    def begin(self, run: Run, parameters: dict[str, Any]) -> None:
        self._client = client = self._mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        tags = {"kaggle_digits.created": parameters["created"]}
        query = f"tags.`kaggle_digits.created` = '{parameters['created']}'"
        earlier = client.search_runs([experiment], query)  # of a run that is resumed
        if earlier:
            self._id = earlier[0].info.run_id
            client.update_run(self._id, status="RUNNING")
            return
        self._id = client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
        param = self._mlflow.entities.Param
        client.log_batch(self._id, params=[param(key, str(x)) for key, x in parameters.items()])

    def log(self, member: int, epoch: int, metrics: dict[str, float]) -> None:
        self._log({self._name(member, key): value for key, value in metrics.items()}, epoch)

    def end(self, run: Run, metrics: dict[str, float], artifacts: list[Path]) -> None:
        self._log({f"final_{key}": value for key, value in metrics.items()}, 0)
        for path in artifacts:
            folder = path.parent.relative_to(run.path).as_posix()
            self._client.log_artifact(self._id, str(path), folder if folder != "." else None)
        self._client.set_terminated(self._id, "FINISHED" if run.finished else "KILLED")

    def _log(self, metrics: dict[str, float], step: int) -> None:
        now, metric = int(1000 * time.time()), self._mlflow.entities.Metric
        entries = [metric(key, value, now, step) for key, value in metrics.items()]
        self._client.log_batch(self._id, metrics=entries)


class WandbTracker(Tracker):
    """Log to Weights & Biases: offline, in ./wandb, unless WANDB_MODE says otherwise."""

    package = "wandb"

    def load(self) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb: Any = wandb

    def begin(self, run: Run, parameters: dict[str, Any]) -> None:
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            config=parameters,
            mode=os.environ.get("WANDB_MODE") or "offline",
            settings=self._wandb.Settings(console="off", silent=True),
        )

    def log(self, member: int, epoch: int, metrics: dict[str, float]) -> None:
        self._run.log({"epoch": epoch} | {self._name(member, key): x for key, x in metrics.items()})

    def end(self, run: Run, metrics: dict[str, float], artifacts: list[Path]) -> None:
        self._run.summary.update({f"final_{key}": value for key, value in metrics.items()})
        if artifacts:
            artifact = self._wandb.Artifact(run.name, type="model")
            for path in artifacts:
                artifact.add_file(str(path), path.relative_to(run.path).as_posix())
            self._run.log_artifact(artifact)
        self._run.finish(exit_code=0 if run.finished else 1)


TRACKERS = {one.package: one for one in (TensorBoardTracker, MlflowTracker, WandbTracker)}


def make_callback(
    callback: TrainingCallback | None, log_to: Sequence[str], runs_dir: Path
) -> TrainingCallback:
    """Return ``callback``, by default ``default_callback()``, and the trackers as one callback.

    ``log_to`` has keys of TRACKERS.

    UsageError: there is no such tracker, or its package is not installed.
    """
    callback, trackers = callback or callbacks.default_callback(), []
    for name in dict.fromkeys([log_to] if isinstance(log_to, str) else log_to):
        check_choice("log_to", name, TRACKERS)
        trackers.append(TRACKERS[name](runs_dir))
    return callbacks.CallbackList(callback, *trackers) if trackers else callback


def describe(run: Run) -> dict[str, Any]:
    """Return the settings of a run by their paths in config.json, such as ``recipe.epochs``."""
    config = run.config()
    keys = ("created", "model", "recipe", "split", "seed", "members", "data", "versions")
    settings = {key: config.get(key) for key in keys}
    return {
        key: value if isinstance(value, int | float) else str(value)[:MAX_LENGTH]
        for key, value in flatten(settings | {"device": device(config["machine"])}).items()
        if value is not None
    }


def final_metrics(run: Run) -> dict[str, float]:
    """Return the metrics of a finished run that are numbers, and the 95 % interval's two ends."""
    metrics = run.metrics()
    result = {key: metrics[key] for key in FINAL_METRICS if metrics.get(key) is not None}
    if interval := metrics["val_accuracy_ci95"]:
        result |= {"val_accuracy_ci95_low": interval[0], "val_accuracy_ci95_high": interval[1]}
    return result
