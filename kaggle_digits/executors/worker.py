"""Code that runs in a worker process: it trains one fold, sends messages and writes no file."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from kaggle_digits.core.errors import DigitsError, RunError
from kaggle_digits.data.digits import Digits
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.executor import Failed, Fitted
from kaggle_digits.training.fold import Checkpoint, FoldTask, fit_fold

# TensorFlow's two thread pools and the libraries behind numpy read these when they are loaded.
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclass
class ForwardedCheckpoint:
    """A checkpoint that arrived with the task; saving sends it to the process with the file."""

    content: bytes | None
    send: Callable[[bytes], object] = lambda content: None

    def load(self) -> bytes | None:
        return self.content

    def save(self, content: bytes) -> None:
        self.send(content)


def limit_threads(threads: int) -> None:
    """Compute on ``threads`` threads in this process; call it before TensorFlow is imported.

    The number decides the order of sums, and so the last bits of every result.
    """
    from threadpoolctl import threadpool_limits

    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    threadpool_limits(threads)  # for libraries that are already loaded


def train_one(
    task: FoldTask, train: Digits, test: Digits, checkpoint: Checkpoint, callback: TrainingCallback
) -> Fitted | Failed:
    """Train one fold; an exception becomes a result that can be pickled."""
    try:
        return Fitted(task, fit_fold(task, train, test, checkpoint=checkpoint, callback=callback))
    except DigitsError as error:
        return Failed(task, error)
    except ConnectionError:  # the parent process is gone
        raise
    except Exception as error:
        if os.environ.get("KD_DEBUG"):
            traceback.print_exc()
        message = " ".join(str(error).split())[:200]
        return Failed(task, RunError(f"unexpected {type(error).__name__}: {message}"))
