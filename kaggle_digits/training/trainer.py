"""The interface of models in training: train an epoch, save the state, restore it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kaggle_digits.models.base import Classifier

# Called with (batches done in this epoch, running loss, running accuracy).
OnStep = Callable[[int, float, float], None]


class Trainer(Protocol):
    """A model in training.

    Attributes:
        epochs: the most that it trains for.
        steps: batches per epoch.
    """

    epochs: int
    steps: int

    @property
    def classifier(self) -> Classifier:
        """The model with its current weights."""

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """Train on every row once and return (loss, accuracy, learning rate)."""

    def finish(self) -> None:
        """Called after the last epoch: assign averaged weights if the recipe has ``ema``."""

    def state(self) -> bytes:
        """Return everything needed to continue training from here."""

    def restore(self, state: bytes) -> None:
        """Go back to ``state``; training continues bit-identically."""
