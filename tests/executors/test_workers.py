"""Tests of kaggle_digits.executors.workers with workers that do not train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import DigitsError, ModelError, RunError
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.executors.workers import MAX_ATTEMPTS, ForwardedCheckpoint, Message, run_tasks
from kaggle_digits.training.fold import Failed, Fitted, FoldTask
from kaggle_digits.training.recipe import Recipe
from tests.support.recording import RecordingCallback

ROWS = FoldIndices(np.arange(2), np.arange(2, 4))
TASKS = [FoldTask(number, Recipe("mlp"), ROWS, number) for number in range(3)]


class FakeWorkers:
    """Two workers that fail with the given errors, then return a result of None."""

    def __init__(self, errors: dict[int, list[DigitsError]]) -> None:
        self.errors = errors
        self.running: list[FoldTask] = []
        self.started: list[tuple[int, bytes | None]] = []
        self.stopped = False

    def has_room(self) -> bool:
        return len(self.running) < 2

    def start(self, task: FoldTask, checkpoint: bytes | None) -> None:
        self.running.append(task)
        self.started.append((task.member, checkpoint))

    def messages(self) -> Iterator[tuple[FoldTask, Message]]:
        task = self.running.pop(0)
        yield task, ("callback", ("on_member_begin", (task.member, 1, 1, 0)))
        yield task, ("checkpoint", b"attempt %d" % len(self.started))
        errors = self.errors.get(task.member)
        result: Any = Failed(task, errors.pop(0), 1) if errors else Fitted(task, None)  # type: ignore[arg-type]
        yield task, ("result", result)

    def stop(self) -> None:
        self.stopped = True


def run(
    workers: FakeWorkers, callback: RecordingCallback
) -> tuple[Sequence[Fitted | Failed], dict[int, ForwardedCheckpoint]]:
    checkpoints = {task.member: ForwardedCheckpoint(None) for task in TASKS}
    for checkpoint in checkpoints.values():
        checkpoint.send = lambda content, saved=checkpoint: setattr(saved, "content", content)  # type: ignore[misc]
    results = list(run_tasks(workers, TASKS, checkpoints.__getitem__, callback))
    return results, checkpoints


def test_each_task_gives_a_result_and_its_messages_are_forwarded() -> None:
    workers, callback = FakeWorkers({}), RecordingCallback()
    results, checkpoints = run(workers, callback)
    assert [result.task.member for result in results] == [0, 1, 2]
    assert all(isinstance(result, Fitted) for result in results)
    assert callback.count("started") == {0: 1, 1: 1, 2: 1}
    assert all(checkpoint.content for checkpoint in checkpoints.values())
    assert workers.stopped


def test_task_of_a_dead_worker_is_retried_from_its_checkpoint() -> None:
    workers, callback = FakeWorkers({0: [RunError("killed")]}), RecordingCallback()
    results, _ = run(workers, callback)
    assert all(isinstance(result, Fitted) for result in results)
    assert [result.task.member for result in results] == [1, 2, 0]
    assert callback.notes == ["retrying member 1: killed"]
    assert [content for member, content in workers.started if member == 0] == [None, b"attempt 2"]


@pytest.mark.parametrize(("error", "attempts"), [(RunError, MAX_ATTEMPTS), (ModelError, 1)])
def test_task_fails_after_its_last_attempt(error: type[DigitsError], attempts: int) -> None:
    workers = FakeWorkers({1: [error("no")] * MAX_ATTEMPTS})
    results, _ = run(workers, RecordingCallback())
    (failed,) = [result for result in results if isinstance(result, Failed)]
    assert (failed.task.member, failed.attempts) == (1, attempts)
    assert str(failed.error) == "no"
    assert len(results) == 3


def test_closing_the_iterator_stops_the_workers() -> None:
    workers = FakeWorkers({})
    checkpoint = ForwardedCheckpoint(None)
    results = run_tasks(workers, TASKS, lambda member: checkpoint, RecordingCallback())
    next(results)
    assert not workers.stopped
    results.close()  # type: ignore[attr-defined]
    assert workers.stopped
