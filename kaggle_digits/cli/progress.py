"""Show the progress of long commands: live on a terminal, otherwise a line for each part."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from rich import progress as bars

from kaggle_digits.cli import console
from kaggle_digits.core import progress as core_progress
from kaggle_digits.core.text import plural
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback, describe_epoch
from kaggle_digits.tuning.results import Trial, TrialCallback
from kaggle_digits.tuning.search_space import Value

# With more members than these, a line is printed for each member instead of each epoch.
MAX_MEMBERS_WITH_EPOCHS = 20


class LiveProgress(bars.Progress):
    """A rich display on stderr, hidden if that is no terminal, and removed when it ends.

    ``redirect`` prints the output of other packages above the display.
    """

    def __init__(self, *columns: str | bars.ProgressColumn, redirect: bool = True) -> None:
        super().__init__(
            *columns,
            console=console.err,
            redirect_stdout=redirect,
            redirect_stderr=redirect,
            transient=True,
            disable=not console.err.is_terminal,
        )

    def start(self) -> None:
        console.begin_output()
        super().start()


class ProgressLine(LiveProgress):
    """A bar with the time left."""

    def __init__(self) -> None:
        super().__init__(
            # Two lines, to fit into 80 columns with the ^C that a terminal echoes behind them: if
            # it wrapped, the display could not be removed.
            bars.TextColumn("[bold]{task.description}[/bold]\n{task.fields[metrics]}"),
            bars.BarColumn(bar_width=12),
            bars.TimeRemainingColumn(compact=True),
            bars.TextColumn("left"),
        )
        self._task = self.add_task("starting", metrics="", total=None)

    def on_message(self, text: str) -> None:
        console.note(text)

    def on_warning(self, text: str) -> None:
        console.warn(text)


class TrainingProgress(ProgressLine, TrainingCallback):
    """The progress of a training: epoch, batch, loss and accuracy.

    ``begin`` is called with the name of the run when its folder exists and its training begins.
    """

    def __init__(self, begin: Callable[[str], object] = str) -> None:
        super().__init__()
        self._begin = begin
        self.name, self.members, self.done, self._done_before = "", 0, 0, 0
        # By member: (epochs, steps per epoch), current epoch, share trained, last finished epoch.
        self._total: dict[int, tuple[int, int]] = {}
        self._epoch: dict[int, int] = {}
        self._share: dict[int, float] = {}
        self._last: dict[int, EpochMetrics] = {}

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        self.name, self.members, self.done, self._done_before = name, members, done, done
        self._begin(name)
        resumed = f", {done} finished before" if done else ""
        models = plural(members, "member") if members > 1 else "1 model"
        console.note(f"run {name}: {models}{resumed}")

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        self._total[member] = epochs, steps
        if first_epoch:
            console.note(f"member {member + 1} resumes at epoch {first_epoch + 1}")
        self._draw(member, first_epoch, 0, "")

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        metrics = f"loss {loss:.4f}, accuracy {console.percent(accuracy)}"
        self._draw(member, self._epoch[member], step, metrics)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        self._last[row.member] = row
        self._epoch[row.member] = row.epoch
        self.on_step(row.member, 0, row.loss, row.accuracy)
        if self.members <= MAX_MEMBERS_WITH_EPOCHS:
            console.note(describe_epoch(row, self._total[row.member][0], self.members))

    def on_predict_begin(self, member: int, images: int, views: int) -> None:
        each = f", {views} views of each" if views > 1 else ""
        text = f"{self._which(member)}predicting {images:,} images{each}"
        self._share[member] = 1.0
        self.update(self._task, description=text, metrics="")
        if self.disable and self.members <= MAX_MEMBERS_WITH_EPOCHS:
            console.note(text)

    def on_member_end(self, member: int, seconds: float) -> None:
        self.done += 1
        self._share[member] = 1.0
        last = self._last.get(member)
        if last and (self.disable or self.members > MAX_MEMBERS_WITH_EPOCHS):
            console.note(
                f"member {member + 1}/{self.members}: {plural(last.epoch, 'epoch')}, "
                f"loss {last.loss:.4f}{_validation(last, 'validation accuracy')}, "
                f"{console.seconds(seconds)}"
            )

    def on_member_error(self, member: int, reason: str, attempts: int) -> None:
        times = f" {attempts} times" if attempts > 1 else ""
        console.warn(f"member {member + 1} failed{times}: {reason}")

    def _which(self, member: int) -> str:
        return f"member {member + 1}/{self.members}, " if self.members > 1 else ""

    def _draw(self, member: int, epoch: int, step: int, metrics: str) -> None:
        epochs, steps = self._total[member]
        self._epoch[member] = epoch
        self._share[member] = (epoch + step / steps) / epochs
        batch = f", batch {min(step, steps)}/{steps}" if steps > 1 else ""
        self.update(
            self._task,
            total=self.members,
            completed=self._done_before + sum(self._share.values()),
            description=f"{self._which(member)}epoch {min(epoch + 1, epochs)}/{epochs}{batch}",
            metrics=metrics + _validation(self._last.get(member), "validation"),
        )


def _validation(row: EpochMetrics | None, label: str) -> str:
    if row is None or math.isnan(row.val_accuracy):
        return ""
    return f", {label} {console.percent(row.val_accuracy)}"


class SearchProgress(ProgressLine, TrialCallback):
    """The progress of a search: trial, fold, epoch and the best trial."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.trials = False, 0
        self._done = self._folds = self._number = self._epochs = 0

    def on_search_begin(self, name: str, done: int, trials: int) -> None:
        self.started, self.trials, self._done = True, trials, done
        already = f", {done} done or running already" if done else ""
        console.note(f"study {name}: {plural(trials, 'trial')}{already}")
        self.update(self._task, total=trials, completed=done)

    def on_trial_begin(self, number: int, values: Mapping[str, Value], folds: int) -> None:
        self._number, self._folds = number, folds
        self._draw(0, 0, 1)

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        self._epochs = epochs
        self._draw(member, 0, epochs)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        self._draw(row.member, row.epoch, self._epochs)

    def on_trial_end(self, trial: Trial, best: Trial | None, done: int) -> None:
        self._done = done
        self.update(self._task, completed=done)
        if best:
            text = f"best: trial {best.number}, calibrated log loss {best.log_loss:.4f}"
            self.update(self._task, metrics=text)
        if not self.disable:
            return
        reasons = {"pruned": "pruned: others were better", "failed": f"failed: {trial.reason}"}
        result = reasons.get(trial.state, trial.state)
        if trial.score:
            accuracy = console.percent(trial.score.accuracy)
            result = f"calibrated log loss {trial.log_loss:.4f}, accuracy {accuracy}"
        seconds = "" if math.isnan(trial.seconds) else f", {console.seconds(trial.seconds)}"
        values = ", ".join(
            f"{name} {value if isinstance(value, str) else f'{value:g}'}"
            for name, value in trial.values.items()
        )
        console.note(f"trial {trial.number}: {result}{seconds}; {values}")

    def _draw(self, fold: int, epoch: int, epochs: int) -> None:
        share = (fold + epoch / epochs) / max(1, self._folds)
        completed = min(self._done + share, self.trials)
        which = f"trial {self._number} of {self.trials}, fold {fold + 1}/{self._folds}, "
        description = f"{which}epoch {min(epoch + 1, epochs)}/{epochs}"
        self.update(self._task, completed=completed, description=description)


class DownloadProgress(core_progress.Progress):
    """Show downloads on stderr: a bar for each file on a terminal, otherwise one line."""

    def __init__(self) -> None:
        self._tasks: dict[str, bars.TaskID] = {}
        self._bars = LiveProgress(
            "{task.description}",
            bars.BarColumn(),
            bars.DownloadColumn(),
            bars.TransferSpeedColumn(),
            bars.TimeRemainingColumn(),
            redirect=False,  # the kaggle client's output is suppressed
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        console.note(text)

    def update(self, name: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(console.safe(name), total=total)
            self._bars.start()  # not earlier, because a command may ask the user before
            if self._bars.disable:
                console.note(f"downloading {name}" + (f" ({total / 1e6:.1f} MB)" if total else ""))
        self._bars.update(self._tasks[name], completed=done, total=total)


def track_folders(folders: Sequence[Path]) -> Iterable[Path]:
    """Iterate over the folders of the models that predict; show a bar on a terminal."""
    hidden = not console.err.is_terminal
    return bars.track(folders, "predicting", console=console.err, transient=True, disable=hidden)


class StudyProgress(LiveProgress):
    """The stage of the current study, and the time left; ``costs``: study → seconds, roughly."""

    def __init__(self, costs: Mapping[str, int]) -> None:
        time_left = bars.TimeRemainingColumn(compact=True, elapsed_when_finished=True)
        bar = bars.BarColumn(bar_width=20)
        super().__init__(bars.SpinnerColumn(), "{task.description}", bar, time_left)
        self._costs = costs
        self._all = self.add_task("all studies", total=sum(costs.values()), visible=len(costs) > 1)
        self._current = self.add_task("reading the data", total=None)
        self._stage = ""

    def report(self, message: str, done: int = 0, total: int | None = None) -> None:
        """Show what the study does: ``done`` of ``total`` steps of the stage that it names."""
        stage = message.split(":", maxsplit=1)[0]
        if stage != self._stage or total is None:
            self._stage = stage
            self.reset(self._current, total=total)
        self.update(self._current, description=message, completed=done, total=total)

    def end_study(self, study: str, seconds: float) -> None:
        """Count a study as done."""
        self.advance(self._all, self._costs[study])
        if self.disable and len(self._costs) > 1:
            console.note(f"study {study}: {console.seconds(seconds)}")
