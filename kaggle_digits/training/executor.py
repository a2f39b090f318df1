"""Where the folds of a run are trained: the interface, and this process as the simplest place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from kaggle_digits.core.environment import usable_cores
from kaggle_digits.core.errors import DigitsError, ModelError, UsageError, check_at_least
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Digits
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.fold import Checkpoint, FoldResult, FoldTask, fit_fold
from kaggle_digits.training.recipe import Recipe


@dataclass(frozen=True)
class Failed:
    """A task that failed: the last error and the number of attempts."""

    task: FoldTask
    error: DigitsError
    attempts: int = 1


Outcome = FoldResult | Failed


@dataclass(frozen=True)
class Cost:
    """Measured seconds: before the first step, of an epoch with validation, after the last one."""

    start: float
    epoch: float
    end: float


@dataclass(frozen=True)
class Workload:
    """The tasks for an executor, and what they share.

    ``train`` has all labelled rows, ``test`` the rows to predict. ``checkpoint`` returns the
    checkpoint of a member by its number. ``callback`` receives the events, possibly of several
    members at the same time.
    """

    tasks: Sequence[FoldTask]
    train: Digits
    test: Digits
    checkpoint: Callable[[int], Checkpoint]
    callback: TrainingCallback


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Trains one model after another in this process, on all its cores.

    Subclasses train elsewhere, in any order: at most ``workers`` members at a time, each with
    ``threads``; None lets them choose. No executor touches the run folder.
    """

    workers: int | None = None
    threads: int | None = None
    # Whether members are trained in groups, which are compiled for their number and rows.
    trains_at_once: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_at_least("workers", self.workers, 1)
        check_at_least("threads", self.threads, 1)

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        """Return config.json's ``trained_by``: ``executor``, ``workers``, ``threads`` per model."""
        return {"executor": "local", "workers": 1, "threads": usable_cores()}

    def for_resume(self, trained_by: dict[str, Any]) -> Self:
        """Return this executor with as many threads per model as the run was started with.

        The number of threads decides the order of floating-point sums, and so the last bits of the
        results. A number that the user chose for this executor takes precedence.
        """
        return replace(self, threads=self.threads or trained_by.get("threads"))

    def measure(
        self, recipe: Recipe, folds: Sequence[FoldIndices], dataset: Dataset
    ) -> Cost | None:
        """Return what each model costs if those of ``folds`` are trained together.

        None if that costs as much as training one after another, which the caller can time.
        """
        return None

    def train(self, work: Workload) -> Iterator[Outcome]:
        """Yield the result of each task as it arrives; closing the iterator stops the others.

        RunError is raised if nothing can be trained any more.
        """
        for task in work.tasks:
            own = work.checkpoint(task.member)
            outcome: Outcome
            try:
                outcome = fit_fold(
                    task,
                    work.train,
                    work.test,
                    checkpoint=own.load(),
                    save_checkpoint=own.save,
                    callback=work.callback,
                )
            except (ModelError, UsageError) as error:
                outcome = Failed(task, error)
            yield outcome
