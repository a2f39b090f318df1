"""Watchers that remember, and that kill: a process, a worker of Ray, a whole node."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil

from benchmarks.ray_nodes import Nodes
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback


class Remembers(TrainingCallback):
    """What happened, in order: (what, member)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.notes: list[str] = []

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        self.events.append(("started", member))

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        self.events.append(("epoch", row.member))

    def on_member_end(self, member: int, seconds: float) -> None:
        """See TrainingCallback."""
        self.events.append(("finished", member))

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        """See TrainingCallback."""
        self.events.append(("failed", member))
        self.notes.append(f"{tries} tries: {reason}")

    def on_message(self, words: str) -> None:
        """See TrainingCallback."""
        self.notes.append(words)

    def count(self, what: str) -> dict[int, int]:
        """How often ``what`` happened to each member that it happened to."""
        members = [member for happened, member in self.events if happened == what]
        return {member: members.count(member) for member in sorted(set(members))}

    @property
    def started_after_the_end(self) -> list[int]:
        """Members that were trained again though they had been finished."""
        finished: set[int] = set()
        again = []
        for what, member in self.events:
            if what == "finished":
                finished.add(member)
            elif what == "started" and member in finished:
                again.append(member)
        return again


class Kills(Remembers):
    """Calls ``kill`` when ``member`` first ends an epoch, in each of its first ``times`` tries."""

    def __init__(self, member: int, times: int, kill: Callable[[], object]) -> None:
        super().__init__()
        self._member, self._left, self._kill = member, times, kill
        self._armed = False  # what a killed process had already sent comes after its end

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        super().on_member_begin(member, epochs, steps, first_epoch)
        self._armed |= member == self._member

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        super().on_epoch_end(row)
        if row.member == self._member and self._armed and self._left:
            self._armed = False
            self._left -= 1
            self._kill()


class Disasters(Kills):
    """Kills a worker when a member first ends an epoch, and a node when two are finished."""

    def __init__(self, nodes: Nodes, member: int = 0) -> None:
        super().__init__(member, 1, kill_a_worker)
        self._nodes = nodes

    def on_member_end(self, member: int, seconds: float) -> None:
        """See TrainingCallback."""
        super().on_member_end(member, seconds)
        if len(self.count("finished")) == 2:
            self._nodes.nodes[1].kill()


def kill_a_worker() -> None:
    """Kill the process of Ray that has trained a member for longest: another may not have begun."""
    at_work = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "ray::train_and_tell"]
    max(at_work, key=lambda process: process.cpu_times().user).send_signal(signal.SIGKILL)
