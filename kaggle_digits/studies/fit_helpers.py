"""Fit one model for a study: the same training as ``kd train``, without a run folder."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.scores import Score, score_or_raise
from kaggle_digits.models.base import KerasClassifier, load_classifier
from kaggle_digits.studies.study import Context
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldResult, FoldTask, fit_fold
from kaggle_digits.training.recipe import Recipe

# With quick: three epochs, or as many as see this number of rows in total.
QUICK_EPOCHS, QUICK_ROWS = 3, 5_000


class _ProgressReporter(TrainingCallback):
    def __init__(self, context: Context, description: str, epochs: int) -> None:
        self._context, self._description, self._epochs = context, description, epochs

    def on_epoch_end(self, row: EpochMetrics) -> None:
        message = f"{self._description}: epoch {row.epoch} of {self._epochs}"
        self._context.progress(message, row.epoch, self._epochs)


def fit_and_score(
    context: Context, description: str, recipe: Recipe, fold: FoldIndices
) -> tuple[FoldResult, Score]:
    """Train ``recipe`` on a fold's training rows and score it on its validation rows.

    ``description`` is for the progress. Raises ModelError if the loss became NaN.
    """
    train, test = context.dataset.train, context.dataset.test
    if context.quick:
        epochs = min(recipe.epochs, max(QUICK_EPOCHS, QUICK_ROWS // len(fold.train)))
        recipe = recipe.with_changes(epochs=epochs)
    task, no_test = FoldTask(0, recipe, fold, context.seed), replace(test, images=test.images[:0])
    reporter = _ProgressReporter(context, description, recipe.epochs)
    result = fit_fold(task, train, no_test, callback=reporter)
    return result, score_or_raise(result.val_probabilities, context.dataset.labels[fold.val])


def train_val_split(
    labels: NDArray[np.uint8], val_fraction: float, seed: int, *, stratify: bool = False
) -> FoldIndices:
    """Split rows with scikit-learn's train_test_split, as the publications do."""
    from sklearn.model_selection import train_test_split

    rows, groups = np.arange(len(labels)), labels if stratify else None
    train, val = train_test_split(rows, test_size=val_fraction, random_state=seed, stratify=groups)
    return FoldIndices(np.asarray(train, np.int64), np.asarray(val, np.int64))


def load_keras_model(result: FoldResult) -> KerasClassifier:
    """Load the Keras model that ``fit_and_score`` returned as bytes."""
    with TemporaryDirectory() as folder:
        (Path(folder) / result.model_file).write_bytes(result.model_bytes)
        classifier = load_classifier(Path(folder))
    assert isinstance(classifier, KerasClassifier)
    return classifier


def fit_mlp(
    pixels: NDArray[np.float64], labels: NDArray[np.integer], hidden: int, **settings: Any
) -> Any:
    """Fit scikit-learn's MLPClassifier with logistic units, without warning about convergence."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((hidden,), activation="logistic", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(pixels, labels)
