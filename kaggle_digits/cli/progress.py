"""Show the progress of long commands: live on a terminal, otherwise a line for each part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn, track

from kaggle_digits.cli import console
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.tuning.trial import Trial, TrialCallback, Value


class ProgressLine:
    """A live line on stderr with a bar and the time left; nothing if stderr is not a terminal."""

    def __init__(self) -> None:
        self._live = console.err.is_terminal
        self._bar = Progress(
            # Two lines, to fit into 80 columns.
            TextColumn("[bold]{task.description}[/bold]\n{task.fields[metrics]}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console.err,
            disable=not self._live,
        )
        self._task = self._bar.add_task("starting", metrics="", total=None)

    def __enter__(self) -> Self:
        """Show the line."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the line."""
        self.stop()

    def stop(self) -> None:
        """Stop updating the line."""
        self._bar.stop()


class TrainingProgress(ProgressLine, TrainingCallback):
    """The progress of a training: epoch, batch, loss and accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.members, self.finished, self._finished_before = "", 0, 0, 0
        # By member: (epochs, steps per epoch), (epoch, step) reached, last finished epoch.
        self._total: dict[int, tuple[int, int]] = {}
        self._reached: dict[int, tuple[int, int]] = {}
        self._last: dict[int, EpochMetrics] = {}

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        """Print the name of the run."""
        self.name, self.members, self.finished, self._finished_before = name, members, done, done
        resumed = f", {done} finished before" if done else ""
        console.note(f"run {name}: {console.plural(members, 'member')}{resumed}")

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """Show the member; print the epoch it resumes from."""
        self._total[member] = epochs, steps
        if first_epoch:
            console.note(f"member {member + 1} resumes at epoch {first_epoch + 1}")
        self._draw(member, first_epoch, 0, "")

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """Show the metrics of the current epoch."""
        epoch, _ = self._reached[member]
        self._draw(member, epoch, step, f"loss {loss:.4f}, accuracy {accuracy:.4f}")

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """Show the metrics of a finished epoch."""
        self._last[row.member] = row
        self._draw(row.member, row.epoch, 0, f"loss {row.loss:.4f}, accuracy {row.accuracy:.4f}")

    def on_member_end(self, member: int, seconds: float) -> None:
        """Print the metrics of the member if there is no live line."""
        self.finished += 1
        if member in self._total:
            self._reached[member] = self._total[member][0], 0
        last = self._last.get(member)
        if not self._live and last is not None:
            console.note(
                f"member {member + 1}/{self.members}: {console.plural(last.epoch, 'epoch')}, "
                f"loss {last.loss:.4f}{_validation(last, 'validation accuracy')}, {seconds:.1f} s"
            )

    def on_member_error(self, member: int, reason: str, tries: int) -> None:
        """Print a warning."""
        times = f" {tries} times" if tries > 1 else ""
        console.warn(f"member {member + 1} failed{times}: {reason}")

    def on_message(self, words: str) -> None:
        """Print other information."""
        console.note(words)

    def _completed(self, member: int) -> float:
        """Return how much of a member is trained, from 0 to 1."""
        (epochs, steps), (epoch, step) = self._total[member], self._reached[member]
        return (epoch + step / steps) / epochs

    def _draw(self, member: int, epoch: int, step: int, metrics: str) -> None:
        self._reached[member] = epoch, step
        epochs, steps = self._total[member]
        which = f"member {member + 1}/{self.members}, " if self.members > 1 else ""
        batch = f", batch {min(step, steps)}/{steps}" if steps > 1 else ""
        self._bar.update(
            self._task,
            total=self.members,
            completed=self._finished_before + sum(map(self._completed, self._reached)),
            description=f"{which}epoch {min(epoch + 1, epochs)}/{epochs}{batch}",
            metrics=metrics + _validation(self._last.get(member), "validation"),
        )


def _validation(row: EpochMetrics | None, label: str) -> str:
    if row is None or math.isnan(row.val_accuracy):
        return ""
    return f", {label} {row.val_accuracy:.4f}"


class SearchProgress(ProgressLine, TrialCallback):
    """The progress of a search: one live line on a terminal, a line per trial elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.started = False
        self._trials = self._done = self._folds = self._number = self._epochs = 0
        self._best = ""

    def on_search_begin(self, name: str, done: int, trials: int) -> None:
        self.started, self._trials, self._done = True, trials, done
        already = f", {done} done or running already" if done else ""
        console.note(f"study {name}: {trials} trial{'s' * (trials > 1)}{already}")
        self._bar.update(self._task, total=trials, completed=done)

    def on_trial_begin(self, number: int, values: Mapping[str, Value], folds: int) -> None:
        self._number, self._folds = number, folds
        self._show(0, 0, 1)

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        self._epochs = epochs
        self._show(member, 0, epochs)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        self._show(row.member, row.epoch, self._epochs)

    def on_trial_end(self, trial: Trial, best: Trial | None, done: int) -> None:
        self._done = done
        if best:
            self._best = f"best: trial {best.number}, calibrated log loss {best.log_loss:.4f}"
        self._bar.update(self._task, completed=done, metrics=self._best)
        if self._live:
            return
        result = {
            "pruned": "pruned: others were better at this epoch",
            "failed": f"failed: {trial.reason}",
        }.get(trial.state, trial.state)
        if trial.score:
            result = (
                f"calibrated log loss {trial.log_loss:.4f}, accuracy {trial.score.accuracy:.4f}"
            )
        seconds = "" if math.isnan(trial.seconds) else f", {trial.seconds:.1f} s"
        values = [
            f"{name} {value if isinstance(value, str) else f'{value:g}'}"
            for name, value in trial.values.items()
        ]
        console.note(f"trial {trial.number}: {result}{seconds}; {', '.join(values)}")

    def _show(self, fold: int, epoch: int, epochs: int) -> None:
        share = (fold + epoch / epochs) / max(1, self._folds)
        self._bar.update(
            self._task,
            completed=min(self._done + share, self._trials),
            description=(
                f"trial {self._number} of {self._trials}, fold {fold + 1}/{self._folds}, "
                f"epoch {min(epoch + 1, epochs)}/{epochs}"
            ),
            metrics=self._best,
        )


def track_folders(description: str) -> Callable[[Sequence[Path]], Iterable[Path]]:
    """Return a function that iterates over folders and shows how many are done on a terminal."""

    def iterate(folders: Sequence[Path]) -> Iterable[Path]:
        return track(
            folders,
            description,
            console=console.err,
            transient=True,
            disable=not console.err.is_terminal,
        )

    return iterate


class StudyProgress:
    """The stage of the current study, and the time left for all studies; a context manager."""

    def __init__(self, costs: Mapping[str, int]) -> None:
        """Take the approximate seconds of each study."""
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
        self._current = self._bar.add_task("reading the data", total=None)
        self._stage = ""

    def __enter__(self) -> Self:
        """Show the lines."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the lines."""
        self._bar.stop()

    def report(self, message: str, done: int = 0, total: int | None = None) -> None:
        """Show what the study does: ``done`` of ``total`` steps of the stage that it names."""
        stage = message.split(":", maxsplit=1)[0]
        if stage != self._stage or total is None:
            self._stage = stage
            self._bar.reset(self._current, total=total)
        self._bar.update(self._current, description=message, completed=done, total=total)

    def finished(self, study: str, seconds: float) -> None:
        """Count a study as done."""
        self._bar.advance(self._all, self._costs[study])
        if not self._live and len(self._costs) > 1:
            console.note(f"study {study}: {seconds:.0f} s")
