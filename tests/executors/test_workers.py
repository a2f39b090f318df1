"""Tests of kaggle_digits.executors.workers with workers that do not train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import DigitsError, ModelError, RunError
from kaggle_digits.data.digits import Digits
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.executors import workers
from kaggle_digits.executors.workers import MAX_ATTEMPTS, Message, run_tasks
from kaggle_digits.training.executor import Failed, Workload
from kaggle_digits.training.fold import Checkpoint, FoldResult, FoldTask
from kaggle_digits.training.recipe import Recipe
from tests.support.recording import RecordingCallback

ROWS = FoldIndices(np.arange(2), np.arange(2, 4))
DIGITS = Digits(np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8), "")
TASKS = [FoldTask(number, Recipe("mlp"), ROWS, number) for number in range(3)]


class FakeWorkers:
    """Two workers that fail with the given errors, then return an empty result."""

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
        empty: Any = [None] * 10
        result = Failed(task, errors.pop(0), 1) if errors else FoldResult(task, *empty)
        yield task, ("result", result)

    def stop(self) -> None:
        self.stopped = True


def run(
    workers: FakeWorkers, callback: RecordingCallback, folder: Path
) -> Sequence[FoldResult | Failed]:
    work = Workload(TASKS, DIGITS, DIGITS, lambda k: Checkpoint(folder / str(k)), callback)
    return list(run_tasks(workers, work))


def test_each_task_gives_a_result_and_its_messages_are_forwarded(tmp_path: Path) -> None:
    workers, callback = FakeWorkers({}), RecordingCallback()
    results = run(workers, callback, tmp_path)
    assert [result.task.member for result in results] == [0, 1, 2]
    assert all(isinstance(result, FoldResult) for result in results)
    assert callback.count("started") == {0: 1, 1: 1, 2: 1}
    assert all(Checkpoint(tmp_path / str(task.member)).load() for task in TASKS)
    assert workers.stopped


def test_task_of_a_dead_worker_is_retried_from_its_checkpoint(tmp_path: Path) -> None:
    workers, callback = FakeWorkers({0: [RunError("killed")]}), RecordingCallback()
    results = run(workers, callback, tmp_path)
    assert all(isinstance(result, FoldResult) for result in results)
    assert [result.task.member for result in results] == [1, 2, 0]
    assert callback.notes == ["retrying member 1: killed"]
    assert [content for member, content in workers.started if member == 0] == [None, b"attempt 2"]


@pytest.mark.parametrize(("error", "attempts"), [(RunError, MAX_ATTEMPTS), (ModelError, 1)])
def test_task_fails_after_its_last_attempt(
    error: type[DigitsError], attempts: int, tmp_path: Path
) -> None:
    workers = FakeWorkers({1: [error("no")] * MAX_ATTEMPTS})
    results = run(workers, RecordingCallback(), tmp_path)
    (failed,) = [result for result in results if isinstance(result, Failed)]
    assert (failed.task.member, failed.attempts) == (1, attempts)
    assert str(failed.error) == "no"
    assert len(results) == 3


def test_closing_the_iterator_stops_the_workers(tmp_path: Path) -> None:
    workers, checkpoint = FakeWorkers({}), Checkpoint(tmp_path / "checkpoint.npz")
    work = Workload(TASKS, DIGITS, DIGITS, lambda member: checkpoint, RecordingCallback())
    results = run_tasks(workers, work)
    next(results)
    assert not workers.stopped
    results.close()  # type: ignore[attr-defined]
    assert workers.stopped


def test_full_memory_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_fold(*_: Any, **__: Any) -> FoldResult:
        raise MemoryError

    monkeypatch.setattr(workers, "fit_fold", fit_fold)
    failed = workers.train_one(TASKS[0], DIGITS, DIGITS)
    assert isinstance(failed, Failed)
    assert str(failed.error).startswith("out of memory: ")
