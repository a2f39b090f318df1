"""Processes that train members: started, given tasks, listened to, replaced when they die."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.digits import Digits
from kaggle_digits.executors.worker import HandedOver, Teller, limit_threads, train_one
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.checkpoint import Checkpoint
from kaggle_digits.training.executor import Failed, Fitted, TaskQueue
from kaggle_digits.training.fold import FoldTask

SECONDS_TO_END = 5.0


def train_in_processes(
    tasks: Sequence[FoldTask],
    data: tuple[Digits, Digits],
    checkpoint: Callable[[int], Checkpoint],
    callback: TrainingCallback,
    *,
    workers: int,
    threads: int,
    cards: Sequence[str] = (),
) -> Iterator[Fitted | Failed]:
    """Yield every task's outcome as it comes.

    Args:
        tasks: what to train.
        data: all labelled rows, and the rows to predict.
        checkpoint: where the checkpoint of each member is kept, by its number.
        callback: told of everything.
        workers: processes.
        threads: of each.
        cards: GPUs, as CUDA numbers them, shared out in turn; none leaves them alone.
    """
    waiting = TaskQueue(tasks)
    crew: list[_Process] = []
    try:
        while len(crew) < min(workers, len(tasks)):
            card = cards[len(crew) % len(cards)] if cards else None
            crew.append(_Process(data, threads, card))
        while waiting or any(process.task for process in crew):
            for process in crew:
                if process.task is None and waiting:
                    task = waiting.next()
                    process.give(task, checkpoint(task.member).load())
            busy = [process for process in crew if process.task]
            ready = wait([process.connection for process in busy])
            for process in (one for one in busy if one.connection in ready):
                outcome = process.hear(checkpoint, callback)
                if outcome is None:
                    continue
                if settled := waiting.settle(outcome, callback):
                    yield settled
                if not process.alive():
                    crew[crew.index(process)] = _Process(data, threads, process.card)
    finally:
        for process in crew:
            process.end()


class _Process:
    """One process and what it is at."""

    def __init__(self, data: tuple[Digits, Digits], threads: int, card: str | None) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        self.connection, theirs = context.Pipe()
        self.card = card
        self.task: FoldTask | None = None
        self._process = context.Process(target=_work, args=(theirs, threads, card), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection
        self._data: tuple[Digits, Digits] | None = data

    def give(self, task: FoldTask, checkpoint: bytes | None) -> None:
        """Have it train ``task``."""
        self.task = task
        with contextlib.suppress(BrokenPipeError):  # heard of soon
            if self._data:
                self.connection.send(self._data)
                self._data = None
            self.connection.send((task, checkpoint))

    def hear(
        self, checkpoint: Callable[[int], Checkpoint], callback: TrainingCallback
    ) -> Fitted | Failed | None:
        """Take one message; what became of its task, once that is known."""
        task = self.task
        assert task is not None
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self.task = None
            return Failed(task, RunError(self._how_it_died()), 1)
        if kind == "checkpoint":
            checkpoint(task.member).save(content)
        elif kind == "tell":
            name, arguments = content
            getattr(callback, name)(*arguments)
        else:
            self.task = None
            outcome: Fitted | Failed = content
            return outcome
        return None

    def alive(self) -> bool:
        """Whether it can be given another task."""
        return self._process.is_alive()

    def end(self) -> None:
        """Stop it, whatever it is at."""
        self.connection.close()
        self._process.kill()
        self._process.join(SECONDS_TO_END)

    def _how_it_died(self) -> str:
        self._process.join(SECONDS_TO_END)
        code = self._process.exitcode
        if code is not None and code < 0:
            reason = signal.Signals(-code).name
            memory = "; out of memory, perhaps: --workers 1" if -code == signal.SIGKILL else ""
            return f"the process that trained it was ended by {reason}{memory}"
        return f"the process that trained it ended with exit code {code}"


def _work(connection: Connection[Any, Any], threads: int, card: str | None) -> None:
    """In the process: train what is asked for until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started it
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    limit_threads(threads)
    callback = Teller(lambda name, arguments: connection.send(("tell", (name, arguments))))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionError):
        train, test = connection.recv()
        while True:
            task, kept = connection.recv()
            checkpoint = HandedOver(kept, lambda content: connection.send(("checkpoint", content)))
            connection.send(("outcome", train_one(task, train, test, checkpoint, callback)))
