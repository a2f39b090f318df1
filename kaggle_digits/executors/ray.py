"""Members trained on a Ray cluster, as plain tasks; this process alone writes the run folder."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kaggle_digits.core.environment import versions
from kaggle_digits.core.errors import ModelError, RunError, check_at_least
from kaggle_digits.data.digits import Digits
from kaggle_digits.executors.ray_connect import connect
from kaggle_digits.executors.ray_task import MUST_AGREE, train_and_tell, train_whole
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.checkpoint import Checkpoint
from kaggle_digits.training.executor import Failed, Fitted, TaskQueue
from kaggle_digits.training.fold import FoldTask

# How often nodes are counted while nothing is heard, and how long a cluster without room for a
# task may stay so.
SECONDS_BETWEEN_LOOKS, SECONDS_WITHOUT_ROOM = 2.0, 20.0
# Tasks handed over beyond those that have room, so that no node waits for the driver.
AHEAD = 2


@dataclass(frozen=True)
class RayExecutor:
    """A Ray cluster.

    Attributes:
        address: as kaggle_digits.executors.ray_connect.connect takes it.
        workers: members trained at a time at most; None for as many as have room.
        threads: cores of each member.
        gpus: cards of each member; 0.5 has two members share one.
    """

    address: str = "auto"
    workers: int | None = None
    threads: int | None = None
    gpus: float = 0

    def __post_init__(self) -> None:
        """Raise UsageError for what can never work."""
        check_at_least("workers", self.workers, 1)
        check_at_least("threads", self.threads, 1)
        check_at_least("gpus", self.gpus, 0)

    def for_resume(self, trained_by: dict[str, Any]) -> RayExecutor:
        """See Executor."""
        return replace(self, threads=self.threads or trained_by.get("threads"))

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        """See Executor."""
        return {
            "executor": "ray",
            "workers": self.workers,
            "threads": self.threads or 1,
            "gpus": self.gpus,
        }

    def train(
        self,
        tasks: Sequence[FoldTask],
        train: Digits,
        test: Digits,
        checkpoint: Callable[[int], Checkpoint],
        callback: TrainingCallback,
    ) -> Iterator[Fitted | Failed]:
        """See Executor.

        Raises:
            UsageError, RunError: no cluster, no room in it, or it is gone.
        """
        ray = connect(self.address)
        with _ended(ray), _quiet():
            cluster = _Cluster(ray, self)
            cluster.check_room()
            data = ray.put(train), ray.put(test)
            waiting = TaskQueue(tasks)
            try:
                while waiting or cluster.at_work:
                    while waiting and len(cluster.at_work) < cluster.most():
                        task = waiting.next()
                        cluster.start(task, data, checkpoint(task.member).load())
                    for outcome in cluster.hear(callback):
                        if settled := waiting.settle(outcome, callback):
                            yield settled
            finally:
                cluster.stop()


class _Cluster:
    """The cluster and the tasks handed over to it."""

    def __init__(self, ray: Any, how: RayExecutor) -> None:
        self._ray, self._how = ray, how
        self._threads = how.threads or 1
        # A driver at the clients' door cannot listen to a task, only wait for its end.
        self._tells = not how.address.startswith("ray://")
        options: dict[str, Any] = {
            "num_cpus": self._threads,
            "num_gpus": how.gpus,
            "max_calls": 1,  # TensorFlow gives its memory back only with its process
            "max_retries": 0,  # this side counts, so that it can say what failed
        }
        if self._tells:
            options["num_returns"] = "streaming"
        self._remote = ray.remote(**options)(train_and_tell if self._tells else train_whole)
        self._expected = {name: versions()[name] for name in MUST_AGREE}
        self._no_room_since: float | None = None
        self.at_work: dict[Any, FoldTask] = {}

    def check_room(self) -> None:
        """Raise RunError where no node could ever take a task."""
        if not self._room():
            raise RunError(self._no_room())

    def most(self) -> int:
        """How many tasks may be handed over at once."""
        return self._how.workers or self._room() + AHEAD

    def start(self, task: FoldTask, data: tuple[Any, Any], checkpoint: bytes | None) -> None:
        """Hand a task over."""
        arguments = (task, *data, checkpoint, self._threads, self._expected)
        self.at_work[self._remote.remote(*arguments)] = task

    def hear(self, callback: TrainingCallback) -> Iterator[Fitted | Failed]:
        """What became of tasks in the next seconds; the watcher is told of the others.

        Raises:
            RunError: the cluster is gone, or has had no room for a task for long.
        """
        try:
            ready, _ = self._ray.wait(
                list(self.at_work), num_returns=1, timeout=SECONDS_BETWEEN_LOOKS
            )
            if not ready:
                self._look_for_room()
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise self._gone(error) from error
        for source in ready:
            task = self.at_work[source]
            try:
                kind, content = self._ray.get(next(source) if self._tells else source)
            except ConnectionError as error:
                raise self._gone(error) from error
            except (self._ray.exceptions.RayError, StopIteration) as error:
                del self.at_work[source]
                yield Failed(task, _explain(error), 1)
                continue
            if kind == "outcome":
                del self.at_work[source]
                if isinstance(content, Fitted) and not self._tells:
                    _tell_afterwards(content, callback)
                yield content
            else:
                name, arguments = content
                getattr(callback, name)(*arguments)

    def stop(self) -> None:
        """End what is at work still."""
        for source in self.at_work:
            with contextlib.suppress(Exception):
                self._ray.cancel(source, force=True)

    def _room(self) -> int:
        """Tasks that the nodes which are alive can take at once, were nobody else there."""
        total = 0
        for node in self._ray.nodes():
            if node.get("Alive"):
                has = node.get("Resources", {})
                places = int(has.get("CPU", 0) // self._threads)
                if self._how.gpus:
                    places = min(places, int(has.get("GPU", 0) // self._how.gpus))
                total += places
        return total

    def _look_for_room(self) -> None:
        now = time.monotonic()
        if self._room():
            self._no_room_since = None
        elif self._no_room_since is None:
            self._no_room_since = now
        elif now - self._no_room_since > SECONDS_WITHOUT_ROOM:
            raise RunError(f"{self._no_room()}; what is finished is kept: kd train --resume")

    def _no_room(self) -> str:
        cards = f" and {self._how.gpus:g} GPUs" if self._how.gpus else ""
        return (
            f"no node of the Ray cluster at {self._how.address} has {self._threads} cores{cards}, "
            "which a member takes; give fewer (--threads, --gpus) or add a node"
        )

    def _gone(self, error: Exception) -> RunError:
        return RunError(
            f"the Ray cluster at {self._how.address} is gone ({_first_line(error)}); members "
            "finished before are kept; go on here or on another cluster with: kd train --resume"
        )


def _tell_afterwards(trained: Fitted, callback: TrainingCallback) -> None:
    history = trained.result.history
    callback.on_member_begin(trained.task.member, len(history), 1, 0)
    for row in history:
        callback.on_epoch_end(row)


def _explain(error: Exception) -> ModelError | RunError:
    """What stopped a task, in one line; a ModelError where trying again cannot help."""
    words = str(error)
    if "kaggle_digits" in words and "ModuleNotFoundError" in words:
        return ModelError(
            "a node of the Ray cluster has no kaggle-digits; install the same version on every "
            "node: pip install -c constraints.txt 'kaggle-digits[ray]'"
        )
    kind = type(error).__name__
    died = {"WorkerCrashedError": "its process died", "NodeDiedError": "its node died"}
    return RunError(died.get(kind) or f"{kind}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")[
        :200
    ]


@contextlib.contextmanager
def _ended(ray: Any) -> Iterator[None]:
    """Leave the cluster at the end, whatever happens."""
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray prints to stdout what its nodes complain of; stdout is for results."""
    if os.environ.get("KD_DEBUG"):
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
    ):
        yield
