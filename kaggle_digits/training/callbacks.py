"""What a training tells whoever watches it; the command line draws it, a library may ignore it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.backend import suppress_native_stderr


@dataclass(frozen=True)
class EpochMetrics:
    """One row of history.csv: a member's figures after one pass over its training rows.

    Losses are mean log losses in nats, accuracies shares, NaN where nothing was
    measured; ``epoch`` counts from 1.
    ``loss`` and ``accuracy`` are running means while the weights changed, with dropout.
    """

    member: int
    epoch: int
    loss: float = np.nan
    accuracy: float = np.nan
    val_loss: float = np.nan
    val_accuracy: float = np.nan
    learning_rate: float = np.nan
    seconds: float = np.nan


class TrainingCallback:
    """Does nothing; override what you want to see."""

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        """A run begins or goes on: ``done`` of its ``members`` are finished already."""

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """A member begins at ``first_epoch`` (0, or later when resumed)."""

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """``step`` batches of the current epoch are done."""

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """An epoch ended."""

    def on_member_end(self, member: int, seconds: float) -> None:
        """A member is trained, has predicted and is kept."""

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        """A member is given up after ``tries`` tries."""

    def on_message(self, words: str) -> None:
        """Something else happened that whoever waits should know."""


class CallbackList(TrainingCallback):
    """Several at once, told in order."""

    def __init__(self, *callbacks: TrainingCallback) -> None:
        self._callbacks = callbacks

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_run_begin(name, members, done)

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_member_begin(member, epochs, steps, first_epoch)

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_step(member, step, loss, accuracy)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_epoch_end(row)

    def on_member_end(self, member: int, seconds: float) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_member_end(member, seconds)

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_member_error(member, reason, tries)

    def on_message(self, words: str) -> None:
        """See TrainingCallback."""
        for callback in self._callbacks:
            callback.on_message(words)


FOLDER = "events"
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


class TensorBoardCallback(TrainingCallback):
    """Writes the figures of every epoch to runs/RUN/events/<member>, for ``tensorboard --logdir``.

    No TensorFlow is needed for it. A run that goes on writes a further file; TensorBoard puts
    them together.

    Raises:
        UsageError: tensorboard is not installed.
    """

    def __init__(self, runs_dir: Path) -> None:
        try:
            with suppress_native_stderr():  # it looks for TensorFlow
                from tensorboard.compat.proto.event_pb2 import Event
                from tensorboard.compat.proto.summary_pb2 import Summary
                from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise UsageError(
                f"--tensorboard wants tensorboard ({error}); install it: pip install tensorboard"
            ) from error
        self._event, self._summary, self._open = Event, Summary, EventFileWriter
        self._runs_dir, self._folder = runs_dir, runs_dir
        self._writers: dict[int, Any] = {}

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        """See TrainingCallback."""
        self._folder = self._runs_dir / name / FOLDER

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        folder = self._folder / str(member)
        with wrap_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._writers[member] = self._open(str(folder))

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        """See TrainingCallback."""
        if member in self._writers:
            self._writers.pop(member).close()

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        figures = {name: value for name, value in asdict(row).items() if name in FIGURES}
        known = [
            self._summary.Value(tag=name, simple_value=value)
            for name, value in figures.items()
            if not math.isnan(value)
        ]
        summary = self._summary(value=known)
        writer = self._writers[row.member]
        writer.add_event(self._event(wall_time=time.time(), step=row.epoch, summary=summary))
        writer.flush()

    def on_member_end(self, member: int, seconds: float) -> None:
        """See TrainingCallback."""
        self._writers.pop(member).close()
