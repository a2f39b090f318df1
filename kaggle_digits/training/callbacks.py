"""What a training tells whoever watches it; the command line draws it, a library may ignore it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Epoch:
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


class Watcher:
    """Does nothing; override what you want to see."""

    def run_started(self, name: str, members: int, done: int) -> None:
        """A run begins or goes on: ``done`` of its ``members`` are finished already."""

    def member_started(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """A member begins at ``first_epoch`` (0, or later when resumed)."""

    def step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """``step`` batches of the current epoch are done."""

    def epoch(self, row: Epoch) -> None:
        """An epoch ended."""

    def member_finished(self, member: int, seconds: float) -> None:
        """A member is trained, has predicted and is kept."""

    def member_failed(self, member: int, reason: str, tries: int) -> None:
        """A member is given up after ``tries`` tries."""

    def note(self, words: str) -> None:
        """Something else happened that whoever waits should know."""


class Watchers(Watcher):
    """Several at once, told in order."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def run_started(self, name: str, members: int, done: int) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.run_started(name, members, done)

    def member_started(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.member_started(member, epochs, steps, first_epoch)

    def step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.step(member, step, loss, accuracy)

    def epoch(self, row: Epoch) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.epoch(row)

    def member_finished(self, member: int, seconds: float) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.member_finished(member, seconds)

    def member_failed(self, member: int, reason: str, tries: int) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.member_failed(member, reason, tries)

    def note(self, words: str) -> None:
        """See Watcher."""
        for watcher in self._watchers:
            watcher.note(words)
