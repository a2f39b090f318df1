"""One trial of a search: settings on every fold, given up early where others did better."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import Score, score
from kaggle_digits.training.callbacks import CallbackList, EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.search_space import Dimension, Value, changed
from kaggle_digits.tuning.storage import WORKER, optuna_package

if TYPE_CHECKING:
    import optuna

State = Literal["finished", "pruned", "failed", "stopped", "running"]
VALUES, FIGURES, REASON = "values", "figures", "reason"
# Before this share of the first fold's epochs no trial is given up: a high learning rate looks bad
# until it has come down.
PATIENT_SHARE = 2 / 3


@dataclass(frozen=True)
class Trial:
    """What became of one trial.

    Attributes:
        number: counted from 1.
        state: ``finished``; ``pruned``, given up because others were better by then; ``failed``,
            for ``reason``; ``stopped`` from outside; ``running`` still, here or elsewhere.
        values: what was tried, by setting.
        score: on all held-out rows, each read by a network that did not see it; its log loss is
            calibrated, measured after the one temperature that fits best: label smoothing makes a
            network modest, not wrong. None unless finished.
        seconds: from begin to end.
        reason: why it failed.
    """

    number: int
    state: State
    values: dict[str, Value]
    score: Score | None = None
    seconds: float = math.nan
    reason: str = ""


class TrialWatcher(TrainingCallback):
    """Told of trials, too; override what you want to see."""

    def search_started(self, name: str, done: int, trials: int) -> None:
        """A search begins or goes on: ``done`` of its ``trials`` are done already."""

    def trial_started(self, number: int, values: Mapping[str, Value], folds: int) -> None:
        """A trial begins; its folds are members 0 to ``folds`` − 1 for the other methods."""

    def trial_finished(self, trial: Trial, best: Trial | None, done: int) -> None:
        """A trial ended; ``best`` of those finished so far, ``done`` with it."""


class _Pruning(TrainingCallback):
    """Tells the study how the first fold goes, epoch by epoch, and gives the trial up.

    Steps can be compared only on the same rows after the same number of epochs: each epoch of the
    first fold is a step, each further fold one more, whose value is the mean over the folds so far.
    """

    def __init__(self, trial: optuna.trial.Trial, epochs: int, *, errors: bool) -> None:
        self._trial, self._epochs, self._errors = trial, epochs, errors
        self._folds: list[float] = []

    def measure(self, log_loss: float, accuracy: float) -> float:
        """What is compared; log losses differ by label smoothing alone, wrong answers do not."""
        return 1 - accuracy if self._errors else log_loss

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """See TrainingCallback."""
        if not self._folds:
            self._report(self.measure(row.val_loss, row.val_accuracy), row.epoch)

    def fold(self, measured: Score) -> None:
        """A fold ended."""
        self._folds.append(self.measure(measured.log_loss, measured.accuracy))
        if len(self._folds) > 1:
            self._report(float(np.mean(self._folds)), self._epochs + len(self._folds) - 1)

    def _report(self, value: float, step: int) -> None:
        self._trial.report(value, step)
        if self._trial.should_prune():
            raise optuna_package().TrialPruned


class SurplusError(Exception):
    """As many trials as were asked for are done or under way already."""


@dataclass(frozen=True)
class Objective:
    """Trains what a trial suggests; what Optuna calls.

    Attributes:
        trials: how many there are to be in all; one too many, which another process began at the
            same moment, is given back.
        dataset: its labelled rows are trained on and held out; test rows are never looked at.
        recipe: where the search began.
        space: what is varied.
        parts: the folds, the same in every trial.
        seed: of the folds' networks, the same in every trial.
        worker: the name of this process.
        callback: told what happens.
    """

    trials: int
    dataset: Dataset
    recipe: Recipe
    space: Sequence[Dimension]
    parts: Sequence[FoldIndices]
    seed: int
    worker: str
    callback: TrialWatcher

    def __call__(self, trial: optuna.trial.Trial) -> float:
        """The log loss of a trial, out of fold; raises TrialPruned."""
        started = time.perf_counter()
        trial.set_user_attr(WORKER, self.worker)
        if sum(counts(other) for other in trial.study.trials[: trial.number]) >= self.trials:
            raise SurplusError
        values = {dimension.name: dimension.suggest(trial) for dimension in self.space}
        trial.set_user_attr(VALUES, values)
        self.callback.trial_started(trial.number + 1, values, len(self.parts))
        try:
            found = self._train(trial, changed(self.recipe, values))
        except ModelError as error:
            # Pruned rather than failed: the sampler learns to stay away.
            trial.set_user_attr(REASON, str(error))
            raise optuna_package().TrialPruned from error
        seconds = time.perf_counter() - started
        trial.set_user_attr(FIGURES, asdict(found) | {"seconds": seconds})
        return found.log_loss

    def _train(self, trial: optuna.trial.Trial, recipe: Recipe) -> Score:
        errors = any(dimension.name == "label_smoothing" for dimension in self.space)
        pruning = _Pruning(trial, recipe.epochs, errors=errors)
        labels = self.dataset.labels
        no_test = replace(self.dataset.test, images=self.dataset.test.images[:0])
        held_out = np.full((len(labels), 10), np.nan, np.float32)
        for number, part in enumerate(self.parts):
            member = fit_fold(
                FoldTask(number, recipe, part, member_seed(self.seed, number)),
                self.dataset.train,
                no_test,
                callback=CallbackList(self.callback, pruning),
            )
            held_out[part.val] = member.val_probabilities
            self.callback.on_member_end(number, member.seconds)
            if measured := score(member.val_probabilities, labels[part.val]):
                pruning.fold(measured)
        as_given = score(held_out, labels)
        assert as_given is not None
        fitted = apply_temperature(held_out, fit_temperature(held_out, labels))
        known = score(fitted, labels)
        assert known is not None
        return replace(as_given, log_loss=known.log_loss)


def counts(frozen: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial is one of those asked for: it ended by itself, or somebody works on it."""
    states = optuna_package().trial.TrialState
    if frozen.state == states.RUNNING:
        return WORKER in frozen.user_attrs
    return frozen.state in (states.COMPLETE, states.PRUNED)


def make_pruner(epochs: int) -> Any:
    """Gives up what is worse than half of the finished trials at the same step."""
    return optuna_package().pruners.MedianPruner(
        n_startup_trials=4, n_warmup_steps=math.ceil(PATIENT_SHARE * epochs)
    )


def as_trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    """What the study holds of a trial, in our words."""
    states = optuna_package().trial.TrialState
    attributes = frozen.user_attrs
    figures: dict[str, Any] = attributes.get(FIGURES, {})
    reason = str(attributes.get(REASON, ""))
    state: State = "running"
    known = None
    if frozen.state == states.COMPLETE and figures:
        state = "finished"
        low, high = figures["ci95"]
        known = Score(figures["accuracy"], (low, high), figures["log_loss"], figures["n"])
    elif frozen.state == states.PRUNED:
        state = "failed" if reason else "pruned"
    elif frozen.state == states.FAIL:
        state = "stopped"
    seconds = figures.get("seconds", math.nan)
    if not figures and frozen.duration is not None:
        seconds = frozen.duration.total_seconds()
    return Trial(frozen.number + 1, state, dict(attributes.get(VALUES, {})), known, seconds, reason)
