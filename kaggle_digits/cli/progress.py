"""How trainings and studies look while they run: live on a terminal, a line a part elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn, track

from kaggle_digits.cli import console
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback


class ProgressLine:
    """A line on stderr while something runs; a context manager, so that it ends when that does."""

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

    def __enter__(self) -> Self:
        """Start the live line."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the live line."""
        self.stop()

    def stop(self) -> None:
        """Draw no more."""
        self._bar.stop()


class TrainingProgress(ProgressLine, TrainingCallback):
    """How a training looks while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.members, self.finished, self._before = "", 0, 0, 0
        # Of each member that is or was at work: its epochs and steps, and where it is.
        self._size: dict[int, tuple[int, int]] = {}
        self._at: dict[int, tuple[int, int]] = {}
        self._last: dict[int, EpochMetrics] = {}

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        """See TrainingCallback."""
        self.name, self.members, self.finished, self._before = name, members, done, done
        goes_on = f", {done} finished before" if done else ""
        console.note(f"run {name}: {members} member{'s' * (members > 1)}{goes_on}")

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        self._size[member] = epochs, steps
        if first_epoch:
            console.note(f"member {member + 1} goes on at epoch {first_epoch + 1}")
        self._draw(member, first_epoch, 0, "")

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """See TrainingCallback."""
        epoch, _ = self._at[member]
        self._draw(member, epoch, step, f"loss {loss:.4f}, accuracy {accuracy:.4f}")

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        self._last[row.member] = row
        self._draw(row.member, row.epoch, 0, f"loss {row.loss:.4f}, accuracy {row.accuracy:.4f}")

    def on_member_end(self, member: int, seconds: float) -> None:
        """See TrainingCallback."""
        self.finished += 1
        if member in self._size:
            self._at[member] = self._size[member][0], 0
        last = self._last.get(member)
        if not self._live and last is not None:
            console.note(
                f"member {member + 1}/{self.members}: {last.epoch} epoch{'s' * (last.epoch > 1)}, "
                f"loss {last.loss:.4f}{_validation(last, 'validation accuracy')}, {seconds:.1f} s"
            )

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        """See TrainingCallback."""
        times = f" {tries} times" if tries > 1 else ""
        console.warn(f"member {member + 1} failed{times}: {reason}")

    def on_message(self, words: str) -> None:
        """See TrainingCallback."""
        console.note(words)

    def _share(self, member: int) -> float:
        """How much of a member is done: 0 to 1."""
        (epochs, steps), (epoch, step) = self._size[member], self._at[member]
        return (epoch + step / steps) / epochs

    def _draw(self, member: int, epoch: int, step: int, figures: str) -> None:
        self._at[member] = epoch, step
        epochs, steps = self._size[member]
        shown = min(epoch + 1, epochs)
        which = f"member {member + 1}/{self.members}, " if self.members > 1 else ""
        batch = f", batch {min(step, steps)}/{steps}" if steps > 1 else ""
        self._bar.update(
            self._task,
            total=self.members,
            completed=self._before + sum(map(self._share, self._at)),
            description=f"{which}epoch {shown}/{epochs}{batch}",
            figures=figures + _validation(self._last.get(member), "validation"),
        )


def _validation(row: EpochMetrics | None, word: str) -> str:
    if row is None or math.isnan(row.val_accuracy):
        return ""
    return f", {word} {row.val_accuracy:.4f}"


def track_folders(words: str) -> Callable[[Sequence[Path]], Iterable[Path]]:
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
