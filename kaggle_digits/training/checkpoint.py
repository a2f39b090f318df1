"""What a member in training has reached, as bytes: kept by whoever may write, read to go on."""

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
from kaggle_digits.training.trainer import Trainer


class Checkpoint(Protocol):
    """Where a member's checkpoint is kept."""

    def load(self) -> bytes | None:
        """What was saved last; None for a fresh start."""

    def save(self, content: bytes) -> None:
        """Keep ``content`` instead of what was saved before."""


@dataclass(frozen=True)
class FileCheckpoint:
    """A checkpoint in a file, written whole."""

    path: Path

    def load(self) -> bytes | None:
        """See Checkpoint."""
        return self.path.read_bytes() if self.path.is_file() else None

    def save(self, content: bytes) -> None:
        """See Checkpoint."""
        with atomic_write(self.path, durable=False) as part:
            part.write_bytes(content)


@dataclass
class Progress:
    """What a member has reached: the part of a checkpoint that is not the learner's.

    Attributes:
        history: one Epoch an epoch.
        best: the learner's state after the best epoch, where that is the one kept.
    """

    history: list[EpochMetrics] = field(default_factory=list)
    best: bytes = b""

    @property
    def best_epoch(self) -> int:
        """Counted from 1."""
        return 1 + int(np.argmin([row.val_loss for row in self.history]))


def save(checkpoint: Checkpoint, learner: Trainer, progress: Progress) -> None:
    """Keep all that going on needs."""
    packed = io.BytesIO()
    np.savez(
        packed,
        history=np.array(json.dumps([asdict(row) for row in progress.history])),
        state=np.frombuffer(learner.state(), np.uint8),
        best=np.frombuffer(progress.best, np.uint8),
    )
    checkpoint.save(packed.getvalue())


def restore(checkpoint: Checkpoint | None, learner: Trainer, member: int) -> Progress:
    """Bring ``learner`` to where it was; a fresh start where nothing is kept, it is damaged, or it
    is a pickle that was not made here.

    Raises:
        ModelError: it was kept of another model.
    """
    content = checkpoint.load() if checkpoint else None
    if not content:
        return Progress()
    try:
        with np.load(io.BytesIO(content)) as kept:
            history = [EpochMetrics(**row) for row in json.loads(str(kept["history"]))]
            state, best = kept["state"].tobytes(), kept["best"].tobytes()
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return Progress()
    try:
        learner.restore(state)
    except UntrustedError:  # nothing of it is used: trained from the start, the member is the same
        return Progress()
    except ValueError as error:
        raise ModelError(
            f"the checkpoint of member {member} does not fit the model as it is now "
            f"({' '.join(str(error).split())[:80]}); delete members/{member} in the run's folder "
            "and go on with: kd train --resume"
        ) from error
    return Progress(history, best)
