"""The objective that Optuna minimizes: out-of-fold log loss, with pruning of hopeless trials."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import Score, score
from kaggle_digits.training.callbacks import CallbackList, EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.optuna_import import optuna
from kaggle_digits.tuning.search_space import Dimension, with_values
from kaggle_digits.tuning.storage import trial_lock
from kaggle_digits.tuning.trial import State, Trial, TrialCallback

# Attributes of a trial in the study.
STARTED, VALUES, METRICS, REASON = "worker", "values", "figures", "reason"
# No trial is pruned before this share of the first fold's epochs, because a model with a high
# learning rate is bad until the learning rate has decayed.
MIN_SHARE_OF_EPOCHS = 2 / 3


class EnoughTrials(Exception):  # noqa: N818 (a signal, not an error)
    """As many trials as requested are finished or running."""


@dataclass(frozen=True)
class Objective:
    """Trains the recipe with the values that a trial suggests.

    Attributes:
        trials: how many are requested in all. Two processes may start the last one at the same
            moment; then the later one raises EnoughTrials.
        dataset: only its labelled rows are used.
        recipe: the recipe to vary.
        space: the settings to vary.
        folds: the rows of each fold, the same in every trial.
        seed: of the networks, the same in every trial.
        folder: of the study.
        locks: receives the lock of the trial; to be closed when the study has the result.
        callback: called as the search proceeds.
    """

    trials: int
    dataset: Dataset
    recipe: Recipe
    space: Sequence[Dimension]
    folds: Sequence[FoldIndices]
    seed: int
    folder: Path
    locks: ExitStack
    callback: TrialCallback

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the calibrated out-of-fold log loss of ``trial``."""
        started = time.perf_counter()
        self.locks.enter_context(trial_lock(self.folder, trial.number))
        trial.set_user_attr(STARTED, value=True)
        earlier = trial.study.get_trials(deepcopy=False)[: trial.number]
        if count_done(earlier) >= self.trials:
            raise EnoughTrials
        values = {dimension.name: dimension.suggest(trial) for dimension in self.space}
        trial.set_user_attr(VALUES, values)
        self.callback.on_trial_begin(trial.number + 1, values, len(self.folds))
        try:
            result = self._train(trial, with_values(self.recipe, values))
        except ModelError as error:
            # PRUNED instead of FAIL, so that the sampler avoids such values.
            trial.set_user_attr(REASON, str(error))
            raise optuna.TrialPruned from error
        seconds = time.perf_counter() - started
        trial.set_user_attr(METRICS, asdict(result) | {"seconds": seconds})
        return result.log_loss

    def _train(self, trial: optuna.Trial, recipe: Recipe) -> Score:
        use_accuracy = any(dimension.name == "label_smoothing" for dimension in self.space)
        pruning = _PruningCallback(trial, recipe.epochs, use_accuracy=use_accuracy)
        labels = self.dataset.labels
        no_test_rows = replace(self.dataset.test, images=self.dataset.test.images[:0])
        probabilities = np.full((len(labels), 10), np.nan, np.float32)
        for number, fold in enumerate(self.folds):
            result = fit_fold(
                FoldTask(number, recipe, fold, member_seed(self.seed, number)),
                self.dataset.train,
                no_test_rows,
                callback=CallbackList(self.callback, pruning),
            )
            probabilities[fold.val] = result.val_probabilities
            self.callback.on_member_end(number, result.seconds)
            if fold_score := score(result.val_probabilities, labels[fold.val]):
                pruning.on_fold_end(fold_score)
        uncalibrated = score(probabilities, labels)
        calibrated = score(
            apply_temperature(probabilities, fit_temperature(probabilities, labels)), labels
        )
        assert uncalibrated is not None
        assert calibrated is not None
        return replace(uncalibrated, log_loss=calibrated.log_loss)


class _PruningCallback(TrainingCallback):
    """Reports the validation loss to the study and prunes the trial.

    Values are comparable only on the same rows after the same number of epochs. So each epoch of
    the first fold is a step, and each further fold is one step with the mean over the folds so far.
    With ``use_accuracy`` the value is 1 - accuracy, because label smoothing changes the log loss
    but not the predictions.
    """

    def __init__(self, trial: optuna.Trial, epochs: int, *, use_accuracy: bool) -> None:
        self._trial, self._epochs, self._use_accuracy = trial, epochs, use_accuracy
        self._folds: list[float] = []

    def on_epoch_end(self, row: EpochMetrics) -> None:
        if not self._folds:
            value = 1 - row.val_accuracy if self._use_accuracy else row.val_loss
            self._report(value, row.epoch)

    def on_fold_end(self, result: Score) -> None:
        self._folds.append(1 - result.accuracy if self._use_accuracy else result.log_loss)
        if len(self._folds) > 1:
            self._report(float(np.mean(self._folds)), self._epochs + len(self._folds) - 1)

    def _report(self, value: float, step: int) -> None:
        self._trial.report(value, step)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def make_pruner(epochs: int) -> optuna.pruners.BasePruner:
    """Return a pruner that stops trials worse than the median of the others at the same step."""
    return optuna.pruners.MedianPruner(
        n_startup_trials=4, n_warmup_steps=math.ceil(MIN_SHARE_OF_EPOCHS * epochs)
    )


def count_done(trials: Sequence[optuna.trial.FrozenTrial]) -> int:
    """Return how many trials are complete, pruned, or running in a process."""
    return sum(
        trial.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        or (trial.state == optuna.trial.TrialState.RUNNING and STARTED in trial.user_attrs)
        for trial in trials
    )


def to_trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    """Convert a trial of the study."""
    attributes = frozen.user_attrs
    metrics: dict[str, Any] = attributes.get(METRICS, {})
    reason = str(attributes.get(REASON, ""))
    state: State = "running"
    result = None
    if frozen.state == optuna.trial.TrialState.COMPLETE and metrics:
        state = "finished"
        low, high = metrics["ci95"]
        result = Score(metrics["accuracy"], (low, high), metrics["log_loss"], metrics["n"])
    elif frozen.state == optuna.trial.TrialState.PRUNED:
        state = "failed" if reason else "pruned"
    elif frozen.state == optuna.trial.TrialState.FAIL:
        state = "stopped"
    seconds = metrics.get("seconds", math.nan)
    if not metrics and frozen.duration is not None:
        seconds = frozen.duration.total_seconds()
    values = dict(attributes.get(VALUES, {}))
    return Trial(frozen.number + 1, state, values, result, seconds, reason)
