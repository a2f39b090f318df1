"""What every model in training has in common: an epoch at a time, its state as bytes and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kaggle_digits.models.base import Classifier

# Told of (batches done in this epoch, running loss, running accuracy).
OnStep = Callable[[int, float, float], None]


class Trainer(Protocol):
    """A model in training.

    Attributes:
        epochs: how many it wants at most.
        steps: batches in an epoch.
    """

    epochs: int
    steps: int

    @property
    def classifier(self) -> Classifier:
        """The model as it is now."""

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """Pass over the training rows once; returns (loss, accuracy, learning rate)."""

    def finish(self) -> None:
        """After the last epoch: put averaged weights in place, where a recipe asks for them."""

    def state(self) -> bytes:
        """Everything that going on from here needs."""

    def restore(self, state: bytes) -> None:
        """Go back to ``state``; what follows is the same bit for bit."""
