"""A watcher that remembers, and one that kills."""

from __future__ import annotations

from collections.abc import Callable

from kaggle_digits.training.watch import Epoch, Watcher


class Remembers(Watcher):
    """What happened, in order: (what, member)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.notes: list[str] = []

    def member_started(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        self.events.append(("started", member))

    def epoch(self, row: Epoch) -> None:
        self.events.append(("epoch", row.member))

    def member_finished(self, member: int, seconds: float) -> None:
        self.events.append(("finished", member))

    def member_failed(self, member: int, reason: str, tries: int) -> None:
        self.events.append(("failed", member))
        self.notes.append(f"{tries} tries: {reason}")

    def note(self, words: str) -> None:
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
    """Calls ``kill`` the first ``times`` times that ``member`` ends an epoch."""

    def __init__(self, member: int, times: int, kill: Callable[[], object]) -> None:
        super().__init__()
        self._member, self._left, self._kill = member, times, kill

    def epoch(self, row: Epoch) -> None:
        super().epoch(row)
        if row.member == self._member and self._left:
            self._left -= 1
            self._kill()
