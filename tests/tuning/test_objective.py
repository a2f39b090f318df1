"""Tests of kaggle_digits.tuning.objective."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import split
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import score
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.tuning.results import SearchResult
from tests.support.searches import SPLIT


def test_score_of_trial_equals_score_of_trained_recipe(
    result: SearchResult, dataset: Dataset
) -> None:
    assert result.recipe is not None
    assert result.best is not None
    probabilities = np.full((len(dataset.train), 10), np.nan, np.float32)
    for number, fold in enumerate(split(dataset.labels, SPLIT)):
        task = FoldTask(number, result.recipe, fold, member_seed(SPLIT.seed, number))
        fitted = fit_fold(task, dataset.train, dataset.test)
        probabilities[fold.val] = fitted.val_probabilities
    uncalibrated = score(probabilities, dataset.labels)
    temperature = fit_temperature(probabilities, dataset.labels)
    calibrated = score(apply_temperature(probabilities, temperature), dataset.labels)
    assert uncalibrated is not None
    assert calibrated is not None
    best = result.best.score
    assert best is not None
    expected = (200, uncalibrated.accuracy, uncalibrated.ci95)
    assert (best.n, best.accuracy, best.ci95) == expected
    assert best.log_loss == pytest.approx(calibrated.log_loss, abs=1e-6)
    assert best.log_loss <= uncalibrated.log_loss


def test_hopeless_trials_are_pruned(result: SearchResult) -> None:
    pruned = [trial for trial in result.study.trials if trial.state.name == "PRUNED"]
    complete = [trial for trial in result.study.trials if trial.state.name == "COMPLETE"]
    assert pruned
    assert len(complete) >= 5
    # Three epochs of the first fold, then one step for the second fold.
    assert all(list(trial.intermediate_values) == [1, 2, 3, 4] for trial in complete)
    # Not before two thirds of the first fold, and before the end.
    assert all(len(trial.intermediate_values) >= 2 for trial in pruned)
    assert any(len(trial.intermediate_values) <= 3 for trial in pruned)
    assert [trial.number + 1 for trial in pruned] == [
        trial.number for trial in result.trials if trial.state == "pruned"
    ]
    assert all(trial.score is None for trial in result.trials if trial.state == "pruned")
