"""Workers: processes that train one fold each, and the loop that assigns tasks to them.

A worker sends messages and writes no file.
"""

import os
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from kaggle_digits.core.environment import THREAD_VARIABLES, out_of_memory
from kaggle_digits.core.errors import DigitsError, ModelError, RunError, UsageError
from kaggle_digits.data.digits import Digits
from kaggle_digits.training.executor import Failed, Outcome, Workload
from kaggle_digits.training.fold import FoldTask, fit_fold

# Attempts per task: a killed worker may have been out of memory only because of its neighbours.
MAX_ATTEMPTS = 3

# (kind, content) of a worker's message: ("callback", (name of a callback's method, its arguments)),
# ("checkpoint", bytes), and last ("result", FoldResult or Failed).
Message = tuple[str, Any]


class Workers(Protocol):
    """Processes, here or on other machines, that train one task each at a time."""

    def has_room(self) -> bool:
        """Return whether another task may be started now."""

    def start(self, task: FoldTask, checkpoint: bytes | None) -> None:
        """Give ``task`` to a worker, which resumes from ``checkpoint`` unless that is None."""

    def messages(self) -> Iterable[tuple[FoldTask, Message]]:
        """Wait for messages and yield them; a worker that died yields a result too.

        RunError is raised if these workers cannot train any task any more.
        """

    def stop(self) -> None:
        """End all workers, also those that are training."""


def run_tasks(workers: Workers, work: Workload) -> Iterator[Outcome]:
    """Yield the result of every task as it arrives; closing the iterator stops the workers.

    A task whose worker died is tried up to MAX_ATTEMPTS times. A model that cannot be trained
    fails the same way each time, so its task is not tried again.
    """
    queue, attempts, running = deque(work.tasks), Counter[int](), 0
    try:
        while queue or running:
            while queue and workers.has_room():
                task = queue.popleft()
                attempts[task.member] += 1
                workers.start(task, work.checkpoint(task.member).load())
                running += 1
            for task, (kind, content) in workers.messages():
                if kind == "checkpoint":
                    work.checkpoint(task.member).save(content)
                elif kind == "callback":
                    method, arguments = content
                    getattr(work.callback, method)(*arguments)
                else:
                    running -= 1
                    failed, attempt = isinstance(content, Failed), attempts[task.member]
                    permanent = failed and isinstance(content.error, ModelError | UsageError)
                    if failed and not permanent and attempt < MAX_ATTEMPTS:
                        note = f"retrying member {task.member + 1}: {content.error}"
                        work.callback.on_message(note)
                        queue.append(task)
                    else:
                        yield replace(content, attempts=attempt) if failed else content
    finally:
        workers.stop()


def limit_threads(threads: int) -> None:
    """Compute on ``threads`` threads in this process; call it before TensorFlow is imported.

    The number decides the order of sums, and so the last bits of every result.
    """
    from threadpoolctl import threadpool_limits

    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    threadpool_limits(threads)  # for libraries that are already loaded


def train_one(task: FoldTask, train: Digits, test: Digits, **options: Any) -> Outcome:
    """Call fit_fold; an exception becomes a result that can be pickled."""
    try:
        return fit_fold(task, train, test, **options)
    except DigitsError as error:
        return Failed(task, error)
    except ConnectionError:  # the parent process is gone
        raise
    except Exception as error:
        if reason := out_of_memory(error):
            return Failed(task, RunError(reason))
        if os.environ.get("KD_DEBUG"):
            traceback.print_exc()
        message = " ".join(str(error).split())[:200]
        return Failed(task, RunError(f"unexpected {type(error).__name__}: {message}"))
