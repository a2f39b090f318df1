"""Checkpoints: the state of a model in training, as bytes to resume from."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import ModelError
from kaggle_digits.models.io import UntrustedError
from kaggle_digits.training.callbacks import EpochMetrics
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.sklearn_trainer import SklearnTrainer

Trainer = KerasTrainer | SklearnTrainer


class Checkpoint(Protocol):
    """Where the checkpoint of one model is stored."""

    def load(self) -> bytes | None:
        """Return what was saved last; None if nothing was."""

    def save(self, content: bytes) -> None:
        """Replace the checkpoint by ``content``."""


@dataclass(frozen=True)
class FileCheckpoint:
    """A checkpoint in a file that is replaced atomically."""

    path: Path

    def load(self) -> bytes | None:
        """Return the file's content; None if there is no file."""
        return self.path.read_bytes() if self.path.is_file() else None

    def save(self, content: bytes) -> None:
        """Replace the file's content."""
        with atomic_write(self.path, durable=False) as file:
            file.write_bytes(content)


@dataclass
class Progress:
    """The metrics of each epoch, and the trainer's state after the best one (for ``patience``)."""

    history: list[EpochMetrics] = field(default_factory=list)
    best: bytes = b""

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, from 1."""
        return 1 + int(np.argmin([row.val_loss for row in self.history]))


def save(checkpoint: Checkpoint, trainer: Trainer, progress: Progress) -> None:
    """Save everything needed to resume, as an .npz file."""
    file = io.BytesIO()
    np.savez(
        file,
        history=np.array(json.dumps([asdict(row) for row in progress.history])),
        state=np.frombuffer(trainer.state(), np.uint8),
        best=np.frombuffer(progress.best, np.uint8),
    )
    checkpoint.save(file.getvalue())


def restore(checkpoint: Checkpoint | None, trainer: Trainer, member: int) -> Progress:
    """Restore ``trainer`` from the checkpoint and return the progress.

    Without a checkpoint, or if it is damaged or an untrusted pickle, training starts from the
    beginning; it ends with the same model.

    Raises:
        ModelError: the checkpoint is of another model.
    """
    content = checkpoint.load() if checkpoint else None
    if not content:
        return Progress()
    try:
        with np.load(io.BytesIO(content)) as arrays:
            history = [EpochMetrics(**row) for row in json.loads(str(arrays["history"]))]
            state, best = arrays["state"].tobytes(), arrays["best"].tobytes()
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return Progress()
    try:
        trainer.restore(state)
    except UntrustedError:
        return Progress()
    except ValueError as error:
        raise ModelError(
            f"the checkpoint of member {member} does not fit the model as it is now "
            f"({' '.join(str(error).split())[:80]}); delete members/{member} in the run's folder "
            "and resume with: kd train --resume"
        ) from error
    return Progress(history, best)
