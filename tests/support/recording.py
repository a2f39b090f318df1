"""Callbacks that record what happens in a training, and that kill a worker or a node."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil

from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from tests.support.ray_cluster import RayCluster


class RecordingCallback(TrainingCallback):
    """Records events in order as (event, member), and the notes."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.notes: list[str] = []

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        self.events.append(("started", member))

    def on_epoch_end(self, row: EpochMetrics) -> None:
        self.events.append(("epoch", row.member))

    def on_member_end(self, member: int, seconds: float) -> None:
        self.events.append(("finished", member))

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        self.events.append(("failed", member))
        self.notes.append(f"{tries} attempts: {reason}")

    def on_message(self, words: str) -> None:
        self.notes.append(words)

    def count(self, event: str) -> dict[int, int]:
        """Return how often ``event`` happened, by member; members without it are left out."""
        members = [member for happened, member in self.events if happened == event]
        return {member: members.count(member) for member in sorted(set(members))}

    @property
    def restarted_after_finish(self) -> list[int]:
        """Members that were trained again although they had finished."""
        finished: set[int] = set()
        restarted = []
        for event, member in self.events:
            if event == "finished":
                finished.add(member)
            elif event == "started" and member in finished:
                restarted.append(member)
        return restarted


class KillingCallback(RecordingCallback):
    """Calls ``kill`` at the first epoch of ``member`` in each of its first ``times`` attempts."""

    def __init__(self, member: int, times: int, kill: Callable[[], object]) -> None:
        super().__init__()
        self._member, self._left, self._kill = member, times, kill
        # Messages that a killed process had sent arrive after its death and must not count.
        self._armed = False

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        super().on_member_begin(member, epochs, steps, first_epoch)
        self._armed |= member == self._member

    def on_epoch_end(self, row: EpochMetrics) -> None:
        super().on_epoch_end(row)
        if row.member == self._member and self._armed and self._left:
            self._armed = False
            self._left -= 1
            self._kill()


class WorkerAndNodeKiller(KillingCallback):
    """Kills the worker of a member at its first epoch, and a node when two members are finished."""

    def __init__(self, cluster: RayCluster, member: int = 0) -> None:
        super().__init__(member, 1, kill_ray_worker)
        self._cluster = cluster

    def on_member_end(self, member: int, seconds: float) -> None:
        super().on_member_end(member, seconds)
        if len(self.count("finished")) == 2:
            self._cluster.nodes[1].kill()


def kill_ray_worker() -> None:
    """Kill the Ray worker that has computed longest; another may not have begun to train."""
    workers = [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] == "ray::train_streaming"
    ]
    max(workers, key=lambda process: process.cpu_times().user).send_signal(signal.SIGKILL)
