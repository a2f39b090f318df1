"""Train folds on this machine: in this process, or several at once in processes of their own.

On two cores, two processes with one thread each need 60 to 90 % of the time of one process with two
threads (`python -m benchmarks.executors`), but each process must import TensorFlow.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from kaggle_digits.core.environment import backend_name, memory, usable_cores
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.digits import Digits
from kaggle_digits.executors.at_once import AtOnceExecutor
from kaggle_digits.executors.workers import Message, limit_threads, run_tasks, train_one
from kaggle_digits.training.callbacks import ForwardingCallback
from kaggle_digits.training.executor import Executor, Failed, Outcome, Workload
from kaggle_digits.training.fold import FoldTask

# From this many images per training (rows × epochs × members), several processes save more time
# than they need to start.
MIN_IMAGES_FOR_PROCESSES = 1_000_000
# The most memory that a process used with any recipe, rounded up.
MB_PER_PROCESS = 2_000
SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class LocalExecutor(Executor):
    """This machine, by default with the fastest number of workers and threads.

    Each worker has one of the ``gpus`` to itself.
    """

    gpus: int = 0

    def allocation(self, tasks: Sequence[FoldTask]) -> tuple[int, int]:
        """Return (members at a time, threads per member) for ``tasks``."""
        cores, members = usable_cores(), max(1, len(tasks))
        fitting = max(1, memory()[1] // (MB_PER_PROCESS << 20))
        images = sum(len(task.fold.train) * task.recipe.epochs for task in tasks)
        if self.workers is not None:
            workers = min(self.workers, members)
        elif self.gpus > 1:
            workers = min(self.gpus, members)
        elif self.threads is not None:
            workers = min(max(1, cores // self.threads), members, fitting)
        elif self.gpus or images < MIN_IMAGES_FOR_PROCESSES:
            workers = 1
        else:
            workers = min(cores, members, fitting)
        return workers, self.threads or max(1, cores // workers)

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        workers, threads = self.allocation(tasks)
        return {"executor": "local", "workers": workers, "threads": threads}

    def train(self, work: Workload) -> Iterator[Outcome]:
        workers, threads = self.allocation(work.tasks)
        total, free = (size >> 20 for size in memory())
        needed = workers * MB_PER_PROCESS
        if free < needed:
            work.callback.on_message(
                f"{free:,} MB of memory are free; training {workers} at a time may need "
                f"{needed:,} MB"
            )
        # With little memory a process of its own, so that this one can report that it was killed.
        if workers == 1 and threads == usable_cores() and total >= 2 * MB_PER_PROCESS:
            yield from super().train(work)
            return
        gpus = self.gpus if self.gpus > 1 else 0
        data = (work.train, work.test)
        processes = _Processes(data, min(workers, len(work.tasks)), threads, gpus)
        yield from run_tasks(processes, work)


def local_executor(
    gpus: int = 0, *, workers: int | None = None, threads: int | None = None
) -> Executor:
    """Return the fastest executor for this machine: with JAX, the first GPU trains all at once."""
    if gpus and workers is None and backend_name() == "jax":
        return AtOnceExecutor(threads=threads)
    return LocalExecutor(gpus, workers=workers, threads=threads)


class _Processes:
    """A fixed number of worker processes; one that died is replaced."""

    def __init__(self, data: tuple[Digits, Digits], workers: int, threads: int, gpus: int) -> None:
        self._data, self._threads = data, threads
        cards = [str(worker % gpus) if gpus else None for worker in range(workers)]
        self._processes = [_Process(threads, card) for card in cards]
        for process in self._processes:
            process.send(data)

    def has_room(self) -> bool:
        return any(process.task is None for process in self._processes)

    def start(self, task: FoldTask, checkpoint: bytes | None) -> None:
        idle = next(i for i, process in enumerate(self._processes) if process.task is None)
        process = self._processes[idle]
        if not process.is_alive():
            process = self._processes[idle] = _Process(self._threads, process.card)
            process.send(self._data)
        process.task = task
        process.send((task, checkpoint))

    def messages(self) -> Iterator[tuple[FoldTask, Message]]:
        busy = {process.connection: process for process in self._processes if process.task}
        for connection in wait(list(busy)):
            yield busy[connection].receive()  # type: ignore[index]

    def stop(self) -> None:
        for process in self._processes:
            process.end()


class _Process:
    """One worker process, its connection, and the task that it trains."""

    def __init__(self, threads: int, card: str | None) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        self.connection, other_end = context.Pipe()
        self.card = card
        self.task: FoldTask | None = None
        self._process = context.Process(target=_work, args=(other_end, threads, card), daemon=True)
        self._process.start()
        self.is_alive = self._process.is_alive
        other_end.close()  # so that the connection closes when the process ends

    def send(self, content: Any) -> None:
        with contextlib.suppress(ConnectionError):  # receive() reports the death
            self.connection.send(content)

    def receive(self) -> tuple[FoldTask, Message]:
        """Return its task and its next message; a result ends the task."""
        task = self.task
        assert task is not None
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            kind, content = "result", Failed(task, RunError(self._cause_of_death()))
        if kind == "result":
            self.task = None
        return task, (kind, content)

    def end(self) -> None:
        """Kill it, also while it is training."""
        self.connection.close()
        self._process.kill()
        self._process.join(SECONDS_TO_END)

    def _cause_of_death(self) -> str:
        self._process.join(SECONDS_TO_END)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"its process ended with exit code {code}"
        reason, name = "", signal.Signals(-code).name
        if name == "SIGKILL":
            reason = (
                f" (out of memory? {memory()[0] / 2**30:.1f} GB may be used here; train fewer "
                "members at a time or a smaller model, or allow more memory)"
            )
        return f"its process was killed by {name}{reason}"


def _work(connection: Connection[Any, Any], threads: int, card: str | None) -> None:
    """Train tasks from ``connection`` until the parent process closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    limit_threads(threads)
    options = {
        "save_checkpoint": lambda content: connection.send(("checkpoint", content)),
        "callback": ForwardingCallback(lambda *call: connection.send(("callback", call))),
    }
    with contextlib.suppress(EOFError, ConnectionError):
        train, test = connection.recv()
        while True:
            task, checkpoint = connection.recv()
            result = train_one(task, train, test, checkpoint=checkpoint, **options)
            connection.send(("result", result))
