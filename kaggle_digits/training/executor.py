"""The base class of executors, which decide where models are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kaggle_digits.core.environment import usable_cores
from kaggle_digits.core.errors import DigitsError, ModelError, UsageError
from kaggle_digits.data.digits import Digits
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.fold import Checkpoint, FoldResult, FoldTask, fit_fold


@dataclass(frozen=True)
class Fitted:
    """A task that succeeded."""

    task: FoldTask
    result: FoldResult


@dataclass(frozen=True)
class Failed:
    """A task that failed: the last error and the number of attempts."""

    task: FoldTask
    error: DigitsError
    attempts: int = 1


class Executor:
    """Trains one model after another in this process, on all its cores.

    Subclasses train elsewhere, in any order. No executor touches the run folder.
    """

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        """Return config.json's ``trained_by``: ``executor``, ``workers``, ``threads`` per model."""
        return {"executor": "local", "workers": 1, "threads": usable_cores()}

    def for_resume(self, trained_by: dict[str, Any]) -> Executor:
        """Return an executor with as many threads per model as the run was started with.

        The number of threads decides the order of floating-point sums, and so the last bits of the
        results. A process cannot change its own, so this executor returns itself.
        """
        return self

    def train(
        self,
        tasks: Sequence[FoldTask],
        train: Digits,
        test: Digits,
        checkpoint: Callable[[int], Checkpoint],
        callback: TrainingCallback,
    ) -> Iterator[Fitted | Failed]:
        """Yield the result of each task as it arrives; closing the iterator stops the others.

        Args:
            tasks: what to train.
            train: all labelled rows.
            test: the rows to predict.
            checkpoint: returns the checkpoint of a member, by its number.
            callback: receives the events, possibly of several members at the same time.

        Raises:
            RunError: nothing can be trained any more; the message says why.
        """
        for task in tasks:
            own = checkpoint(task.member)
            try:
                result = fit_fold(task, train, test, checkpoint=own, callback=callback)
            except (ModelError, UsageError) as error:
                yield Failed(task, error)
            else:
                yield Fitted(task, result)
