"""Members trained on this machine: in this process, or several at once in processes of their own.

Two processes of one thread each do the work of two cores in six to nine tenths of the time that one
process of two threads takes, by the processor (`python -m benchmarks.executors`), but each must
start TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kaggle_digits.core.environment import free_memory_mb, usable_cores
from kaggle_digits.core.errors import check_at_least
from kaggle_digits.data.digits import Digits
from kaggle_digits.executors.processes import train_in_processes
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.checkpoint import Checkpoint
from kaggle_digits.training.executor import Failed, Fitted, InProcess
from kaggle_digits.training.fold import FoldTask

# Images passed over in a whole training, from which on further processes repay their start.
IMAGES_WORTH_PROCESSES = 1_000_000
# The most that a process was seen to hold with any recipe, rounded up.
MB_A_PROCESS = 2_000


@dataclass(frozen=True)
class LocalExecutor:
    """This machine.

    Attributes:
        workers: members trained at a time; None for what is fastest.
        threads: of each member; None shares the cores among the workers.
        gpus: cards of this machine; each worker has one of them to itself.
    """

    workers: int | None = None
    threads: int | None = None
    gpus: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for what can never work."""
        check_at_least("workers", self.workers, 1)
        check_at_least("threads", self.threads, 1)

    def for_resume(self, trained_by: dict[str, Any]) -> LocalExecutor:
        """See Executor."""
        return replace(self, threads=self.threads or trained_by.get("threads"))

    def placing(self, tasks: Sequence[FoldTask]) -> tuple[int, int]:
        """(members at a time, threads of each) for these tasks."""
        cores, members = usable_cores(), max(1, len(tasks))
        if self.workers is not None:
            workers = min(self.workers, members)
        elif self.gpus > 1:
            workers = min(self.gpus, members)
        elif self.threads is not None:
            workers = min(max(1, cores // self.threads), members, _room())
        elif self.gpus or _images(tasks) < IMAGES_WORTH_PROCESSES:
            workers = 1
        else:
            workers = min(cores, members, _room())
        return workers, self.threads or max(1, cores // workers)

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        """See Executor."""
        workers, threads = self.placing(tasks)
        return {"executor": "local", "workers": workers, "threads": threads}

    def train(
        self,
        tasks: Sequence[FoldTask],
        train: Digits,
        test: Digits,
        checkpoint: Callable[[int], Checkpoint],
        callback: TrainingCallback,
    ) -> Iterator[Fitted | Failed]:
        """See Executor."""
        workers, threads = self.placing(tasks)
        if workers == 1 and threads == usable_cores():
            return InProcess().train(tasks, train, test, checkpoint, callback)
        cards = [str(worker) for worker in range(self.gpus)] if self.gpus > 1 else []
        return train_in_processes(
            tasks,
            (train, test),
            checkpoint,
            callback,
            workers=workers,
            threads=threads,
            cards=cards,
        )


def _images(tasks: Sequence[FoldTask]) -> int:
    return sum(len(task.fold.train) * task.recipe.epochs for task in tasks)


def _room() -> int:
    return max(1, free_memory_mb() // MB_A_PROCESS)
