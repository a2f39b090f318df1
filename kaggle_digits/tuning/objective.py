"""The objective that Optuna minimizes: out-of-fold log loss, with pruning of hopeless trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import Score, score
from kaggle_digits.training.callbacks import CallbackList, EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.optuna_import import optuna

# No trial is pruned before this share of the first fold's epochs, because a model with a high
# learning rate is bad until the learning rate has decayed.
MIN_SHARE_OF_EPOCHS = 2 / 3
# Number of trials with random values, before the sampler uses the results of earlier trials.
MIN_RANDOM, MAX_RANDOM = 3, 10


def cross_validate(  # noqa: PLR0917
    trial: optuna.Trial,
    recipe: Recipe,
    dataset: Dataset,
    folds: Sequence[FoldIndices],
    seed: int,
    callback: TrainingCallback,
) -> Score:
    """Train ``recipe`` on every fold; return the out-of-fold score with the calibrated log loss.

    TrialPruned is raised if other trials were better, ModelError if the model cannot be trained.
    """
    pruning = _PruningCallback(trial, recipe.epochs)
    callbacks = CallbackList(callback, pruning)
    no_test_rows = replace(dataset.test, images=dataset.test.images[:0])
    probabilities = np.full((len(dataset.labels), 10), np.nan, np.float32)
    for number, fold in enumerate(folds):
        task = FoldTask(number, recipe, fold, member_seed(seed, number))
        result = fit_fold(task, dataset.train, no_test_rows, callback=callbacks)
        probabilities[fold.val] = result.val_probabilities
        callback.on_member_end(number, result.seconds)
        if fold_score := score(result.val_probabilities, dataset.labels[fold.val]):
            pruning.on_fold_end(fold_score)
    temperature = fit_temperature(probabilities, dataset.labels)
    calibrated = score(apply_temperature(probabilities, temperature), dataset.labels)
    uncalibrated = score(probabilities, dataset.labels)
    assert uncalibrated is not None
    assert calibrated is not None
    return replace(uncalibrated, log_loss=calibrated.log_loss)


class _PruningCallback(TrainingCallback):
    """Reports the validation loss to the study and prunes the trial.

    Values are comparable only on the same rows after the same number of epochs. So each epoch of
    the first fold is a step, and each further fold is one step with the mean over the folds so far.
    If the label smoothing varies, the value is 1 - accuracy, because label smoothing changes the
    log loss but not the predictions.
    """

    def __init__(self, trial: optuna.Trial, epochs: int) -> None:
        self._trial, self._epochs = trial, epochs
        self._use_accuracy = "label_smoothing" in trial.params
        self._folds: list[float] = []

    def on_epoch_end(self, row: EpochMetrics) -> None:
        if not self._folds:
            self._report(1 - row.val_accuracy if self._use_accuracy else row.val_loss, row.epoch)

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
    warmup = math.ceil(MIN_SHARE_OF_EPOCHS * epochs)
    return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warmup)


def make_sampler(seed: int, number: int, trials: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's TPESampler (Bergstra et al. 2011) for the trial ``number`` of ``trials``.

    With one seed for all trials, processes that share a study would try the same values, and a
    resumed search would repeat its first values.
    """
    trial_seed = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    random_trials = min(MAX_RANDOM, max(MIN_RANDOM, trials // 3))
    return optuna.samplers.TPESampler(seed=int(trial_seed), n_startup_trials=random_trials)
