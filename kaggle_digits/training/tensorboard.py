"""Events for TensorBoard, written while a run trains; history.csv stays the truth."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.backend import suppress_native_stderr
from kaggle_digits.training.callbacks import Epoch, Watcher

FOLDER = "events"
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


class EventsWatcher(Watcher):
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

    def run_started(self, name: str, members: int, done: int) -> None:
        """See Watcher."""
        self._folder = self._runs_dir / name / FOLDER

    def member_started(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See Watcher."""
        folder = self._folder / str(member)
        with wrap_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._writers[member] = self._open(str(folder))

    def member_failed(self, member: int, reason: str, tries: int) -> None:
        """See Watcher."""
        if member in self._writers:
            self._writers.pop(member).close()

    def epoch(self, row: Epoch) -> None:
        """See Watcher."""
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

    def member_finished(self, member: int, seconds: float) -> None:
        """See Watcher."""
        self._writers.pop(member).close()
