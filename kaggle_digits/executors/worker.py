"""What happens in a process that trains members for another: nothing is written, all is told."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kaggle_digits.core.errors import DigitsError, RunError
from kaggle_digits.data.digits import Digits
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.executor import Failed, Fitted
from kaggle_digits.training.fold import FoldTask, fit_fold

# How many threads TensorFlow's two pools and the libraries behind numpy have, read as they start.
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclass
class HandedOver:
    """A checkpoint that came with the task; what is saved is told to whoever keeps it."""

    content: bytes | None
    tell: Callable[[bytes], object] = field(default=lambda content: None)

    def load(self) -> bytes | None:
        """See kaggle_digits.training.checkpoint.Checkpoint."""
        return self.content

    def save(self, content: bytes) -> None:
        """See kaggle_digits.training.checkpoint.Checkpoint."""
        self.tell(content)


class Teller(TrainingCallback):
    """A watcher that passes on everything as (name of the method, its arguments)."""

    def __init__(self, tell: Callable[[str, tuple[Any, ...]], object]) -> None:
        self._tell = tell

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        self._tell("on_member_begin", (member, epochs, steps, first_epoch))

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """See TrainingCallback."""
        self._tell("on_step", (member, step, loss, accuracy))

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        self._tell("on_epoch_end", (row,))


def limit_threads(threads: int) -> None:
    """Compute on so many threads in this process; before TensorFlow is imported.

    The order of sums, and so the last bits of a figure, depends on the number.
    """
    from threadpoolctl import threadpool_limits

    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    threadpool_limits(threads)  # of libraries that are loaded already


def train_one(
    task: FoldTask, train: Digits, test: Digits, checkpoint: HandedOver, callback: TrainingCallback
) -> Fitted | Failed:
    """Train one member; whatever stops it becomes an outcome that can travel."""
    try:
        member = fit_fold(task, train, test, checkpoint=checkpoint, callback=callback)
    except DigitsError as error:
        return Failed(task, error, 1)
    except (BrokenPipeError, ConnectionError):  # nobody listens any more
        raise
    except Exception as error:
        if os.environ.get("KD_DEBUG"):
            traceback.print_exc()
        words = " ".join(str(error).split())[:200]
        return Failed(task, RunError(f"unexpected {type(error).__name__}: {words}"), 1)
    return Fitted(task, member)
