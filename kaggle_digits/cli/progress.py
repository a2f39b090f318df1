"""How trainings and studies look while they run: live on a terminal, a line a part elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn, track

from kaggle_digits.cli import console
from kaggle_digits.training.watch import Epoch, Watcher


class TrainingProgress(Watcher):
    """Draws on stderr; a context manager, so that the live line ends when training does."""

    def __init__(self) -> None:
        self._live = console.err.is_terminal
        self._bar = Progress(
            # Two lines, so that all of it stands in 80 columns.
            TextColumn("[bold]{task.description}[/bold]\n{task.fields[figures]}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console.err,
            disable=not self._live,
        )
        self._task = self._bar.add_task("starting", figures="", total=None)
        self.name, self.members, self.finished = "", 0, 0
        self._epochs = self._steps = 0
        self._validation = ""
        self._last: Epoch | None = None

    def __enter__(self) -> TrainingProgress:
        """Start the live line."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the live line."""
        self.stop()

    def stop(self) -> None:
        """Draw no more."""
        self._bar.stop()

    def run_started(self, name: str, members: int, done: int) -> None:
        """See Watcher."""
        self.name, self.members, self.finished = name, members, done
        goes_on = f", {done} finished before" if done else ""
        console.note(f"run {name}: {members} member{'s' * (members > 1)}{goes_on}")

    def member_started(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See Watcher."""
        self._epochs, self._steps, self._validation = epochs, steps, ""
        if first_epoch:
            console.note(f"member {member + 1} goes on at epoch {first_epoch + 1}")
        self._bar.update(self._task, total=self.members * epochs * steps)
        self._draw(member, first_epoch, 0, "")

    def step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """See Watcher."""
        epoch = self._last.epoch if self._last and self._last.member == member else 0
        self._draw(member, epoch, step, f"loss {loss:.4f}, accuracy {accuracy:.4f}")

    def epoch(self, row: Epoch) -> None:
        """See Watcher."""
        self._last = row
        if not math.isnan(row.val_accuracy):
            self._validation = f", validation {row.val_accuracy:.4f}"
        self._draw(row.member, row.epoch, 0, f"loss {row.loss:.4f}, accuracy {row.accuracy:.4f}")

    def member_finished(self, member: int, seconds: float) -> None:
        """See Watcher."""
        self.finished += 1
        last = self._last
        if not self._live and last is not None:
            validation = (
                ""
                if math.isnan(last.val_accuracy)
                else f", validation accuracy {last.val_accuracy:.4f}"
            )
            console.note(
                f"member {member + 1}/{self.members}: {last.epoch} "
                f"epoch{'s' * (last.epoch > 1)}, loss {last.loss:.4f}{validation}, {seconds:.1f} s"
            )

    def _draw(self, member: int, epoch: int, step: int, figures: str) -> None:
        shown = min(epoch + 1, self._epochs)
        which = f"member {member + 1}/{self.members}, " if self.members > 1 else ""
        batch = f", batch {min(step, self._steps)}/{self._steps}" if self._steps > 1 else ""
        self._bar.update(
            self._task,
            completed=(member * self._epochs + epoch) * self._steps + step,
            description=f"{which}epoch {shown}/{self._epochs}{batch}",
            figures=figures + self._validation,
        )


def counted(words: str) -> Callable[[Sequence[Path]], Iterable[Path]]:
    """Goes through folders, showing on a terminal how many of them are done and the time left."""

    def through(folders: Sequence[Path]) -> Iterable[Path]:
        return track(
            folders,
            words,
            console=console.err,
            transient=True,
            disable=not console.err.is_terminal,
        )

    return through


class StudyProgress:
    """What a study is doing and how long it goes on; of several, how long they all go on.

    A context manager; ``say`` is the setting's, ``finished`` is told of each study.
    """

    def __init__(self, costs: Mapping[str, int]) -> None:
        """``costs``: study → seconds, roughly."""
        self._costs = costs
        self._live = console.err.is_terminal
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console.err,
            disable=not self._live,
        )
        self._all = self._bar.add_task(
            "all studies", total=sum(costs.values()), visible=len(costs) > 1
        )
        self._now = self._bar.add_task("reading the data", total=None)
        self._words = ""

    def __enter__(self) -> StudyProgress:
        """Start the live lines."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the live lines."""
        self._bar.stop()

    def say(self, words: str, done: int = 0, total: int | None = None) -> None:
        """See kaggle_digits.studies.study.Say."""
        stage = words.split(":", maxsplit=1)[0]
        if stage != self._words or total is None:
            self._words = stage
            self._bar.reset(self._now, total=total)
        self._bar.update(self._now, description=words, completed=done, total=total)

    def finished(self, study: str, seconds: float) -> None:
        """A study is done."""
        self._bar.advance(self._all, self._costs[study])
        if not self._live and len(self._costs) > 1:
            console.note(f"study {study}: {seconds:.0f} s")
