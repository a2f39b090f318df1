"""A trial of a search, and the callback that reports trials while the search runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kaggle_digits.metrics.scores import Score
from kaggle_digits.training.callbacks import TrainingCallback

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Value = float | int | str
State = Literal["finished", "pruned", "failed", "stopped", "running"]

STATES: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "stopped"}


class Attribute:
    """Names of the attributes of a trial in Optuna's study."""

    STARTED, VALUES, METRICS, REASON = "worker", "values", "figures", "reason"


@dataclass(frozen=True)
class Trial:
    """One trial: a recipe with certain values, trained on every fold.

    Attributes:
        number: counted from 1.
        state: ``finished``; ``pruned``, stopped early because others were better; ``failed`` for
            ``reason``; ``stopped`` by Ctrl-C or because its process was killed; ``running``.
        score: out-of-fold score on all rows, None unless finished. Its log loss is measured after
            temperature scaling, because label smoothing changes the confidence of a model and not
            its predictions.
        seconds: duration; NaN while it runs.
    """

    number: int
    state: State
    values: dict[str, Value]
    score: Score | None = None
    seconds: float = math.nan
    reason: str = ""

    @property
    def log_loss(self) -> float:
        """The calibrated log loss; infinite unless finished."""
        return self.score.log_loss if self.score else math.inf


def to_trial(frozen: FrozenTrial) -> Trial:
    """Convert a trial of Optuna's study."""
    attributes = frozen.user_attrs
    reason = attributes.get(Attribute.REASON, "")
    state = STATES.get(frozen.state.name, "running")
    if state == "pruned" and reason:
        state = "failed"
    seconds = frozen.duration.total_seconds() if frozen.duration else math.nan
    score = None
    if state == "finished":
        metrics = attributes[Attribute.METRICS]
        seconds, (low, high) = metrics["seconds"], metrics["ci95"]
        score = Score(metrics["accuracy"], (low, high), metrics["log_loss"], metrics["n"])
    values = attributes.get(Attribute.VALUES, {})
    return Trial(frozen.number + 1, state, values, score, seconds, reason)


def count_done(trials: Iterable[FrozenTrial]) -> int:
    """Return how many trials are complete, pruned, or running in a process."""
    return sum(
        trial.state.name in ("COMPLETE", "PRUNED")
        or (trial.state.name == "RUNNING" and Attribute.STARTED in trial.user_attrs)
        for trial in trials
    )


class TrialCallback(TrainingCallback):
    """Methods called during a search; override those that you need."""

    def on_search_begin(self, name: str, done: int, trials: int) -> None:
        """Called first: ``done`` of ``trials`` trials are finished or running already."""

    def on_trial_begin(self, number: int, values: Mapping[str, Value], folds: int) -> None:
        """Called before a trial; the other methods name its folds members 0 to ``folds`` - 1."""

    def on_trial_end(self, trial: Trial, best: Trial | None, done: int) -> None:
        """Called after a trial with the best one so far and the number of trials done."""
