"""Where members are trained: the one interface, and the plainest answer, this very process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kaggle_digits.core.errors import DigitsError, ModelError, UsageError
from kaggle_digits.data.digits import Digits
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.checkpoint import Checkpoint
from kaggle_digits.training.fold import FoldResult, FoldTask, fit_fold


@dataclass(frozen=True)
class Fitted:
    """A member is trained."""

    task: FoldTask
    result: FoldResult


@dataclass(frozen=True)
class Failed:
    """A member cannot be trained: what stopped it last, and how often it was tried."""

    task: FoldTask
    error: DigitsError
    attempts: int


class Executor(Protocol):
    """Trains members, each by itself, in whatever order; never touches the run folder."""

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        """What config.json says of it: ``executor``, ``workers``, ``threads`` of each member."""

    def for_resume(self, trained_by: dict[str, Any]) -> Executor:
        """Itself, for going on with a run that was described so: as many threads a member.

        The last bits of a figure depend on their number.
        """

    def train(
        self,
        tasks: Sequence[FoldTask],
        train: Digits,
        test: Digits,
        checkpoint: Callable[[int], Checkpoint],
        callback: TrainingCallback,
    ) -> Iterator[Fitted | Failed]:
        """Yield every task's outcome as it comes; closing the iterator stops the rest.

        Args:
            tasks: what to train.
            train: all labelled rows.
            test: the rows to predict.
            checkpoint: where the checkpoint of each member is kept, by its number.
            callback: told of members, steps and epochs, of several members at once perhaps.

        Raises:
            RunError: nothing can be trained there any more; says why.
        """


class InProcess:
    """One after another in this process, on all its cores."""

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        """See Executor."""
        from kaggle_digits.core.environment import usable_cores

        return {"executor": "local", "workers": 1, "threads": usable_cores()}

    def for_resume(self, trained_by: dict[str, Any]) -> Executor:
        """See Executor; a process cannot change its threads, so figures may differ in last bits."""
        return self

    def train(
        self,
        tasks: Sequence[FoldTask],
        train: Digits,
        test: Digits,
        checkpoint: Callable[[int], Checkpoint],
        callback: TrainingCallback,
    ) -> Iterator[Fitted | Failed]:
        """See Executor."""
        for task in tasks:
            try:
                member = fit_fold(
                    task, train, test, checkpoint=checkpoint(task.member), callback=callback
                )
            except (ModelError, UsageError) as error:
                yield Failed(task, error, 1)
            else:
                yield Fitted(task, member)
