"""How a search looks while it runs: live on a terminal, a line a trial elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kaggle_digits.cli import console
from kaggle_digits.cli.progress import ProgressLine
from kaggle_digits.training.callbacks import EpochMetrics
from kaggle_digits.tuning.objective import Trial, TrialWatcher


class TrialsProgress(ProgressLine, TrialWatcher):
    """How a search looks while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        self._trials = self._done = self._folds = self._number = 0
        self._best = ""

    def search_started(self, name: str, done: int, trials: int) -> None:
        """See TrialWatcher."""
        self.begun, self._trials, self._done = True, trials, done
        goes_on = f", {done} done or under way before" if done else ""
        console.note(f"study {name}: {trials} trial{'s' * (trials > 1)}{goes_on}")
        self._bar.update(self._task, total=trials, completed=done)

    def trial_started(
        self, number: int, values: Mapping[str, float | int | str], folds: int
    ) -> None:
        """See TrialWatcher."""
        self._number, self._folds = number, folds
        self._draw(0, 0, 1)

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """See TrainingCallback."""
        self._epochs = epochs
        self._draw(member, 0, epochs)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        self._draw(row.member, row.epoch, self._epochs)

    def trial_finished(self, trial: Trial, best: Trial | None, done: int) -> None:
        """See TrialWatcher."""
        self._done = done
        if best and best.score:
            self._best = f"best: trial {best.number}, calibrated log loss {best.score.log_loss:.4f}"
        self._bar.update(self._task, completed=done, figures=self._best)
        if not self._live:
            console.note(f"trial {trial.number}: {outcome(trial)}; {settings(trial)}")

    def _draw(self, fold: int, epoch: int, epochs: int) -> None:
        share = (fold + epoch / epochs) / max(1, self._folds)
        self._bar.update(
            self._task,
            completed=min(self._done + share, self._trials),
            description=(
                f"trial {self._number} of {self._trials}, fold {fold + 1}/{self._folds}, "
                f"epoch {min(epoch + 1, epochs)}/{epochs}"
            ),
            figures=self._best,
        )


def outcome(trial: Trial) -> str:
    """How a trial ended, in a few words."""
    seconds = "" if math.isnan(trial.seconds) else f", {trial.seconds:.1f} s"
    if trial.score:
        return (
            f"calibrated log loss {trial.score.log_loss:.4f}, "
            f"accuracy {trial.score.accuracy:.4f}{seconds}"
        )
    words = {"pruned": "given up: others were better by then", "failed": f"failed: {trial.reason}"}
    return words.get(trial.state, trial.state) + seconds


def settings(trial: Trial) -> str:
    """What it tried: ``dropout 0.2, optimizer muon``."""
    return ", ".join(
        f"{name} {value if isinstance(value, str) else f'{value:g}'}"
        for name, value in trial.values.items()
    )
