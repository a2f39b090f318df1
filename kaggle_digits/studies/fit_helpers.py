"""Fit one model for a study: the same training as ``kd train``, without a run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.scores import Score, score
from kaggle_digits.models.base import Classifier, ProbabilisticModel, load_classifier
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
        self._context.progress(
            f"{self._description}: epoch {row.epoch} of {self._epochs}", row.epoch, self._epochs
        )


def fit_and_score(
    context: Context, description: str, recipe: Recipe, fold: FoldIndices
) -> tuple[FoldResult, Score]:
    """Train ``recipe`` on a fold's training rows and score it on its validation rows.

    Args:
        context: with ``quick``, the number of epochs is reduced.
        description: for the progress display.
        recipe: the model and its training settings.
        fold: rows of the context's training digits.

    Raises:
        ModelError: the loss became NaN.
    """
    train, test = context.dataset.train, context.dataset.test
    if context.quick:
        epochs = min(recipe.epochs, max(QUICK_EPOCHS, QUICK_ROWS // len(fold.train)))
        recipe = recipe.with_changes(epochs=epochs)
    result = fit_fold(
        FoldTask(0, recipe, fold, context.seed),
        train,
        replace(test, images=test.images[:0]),
        callback=_ProgressReporter(context, description, recipe.epochs),
    )
    return result, require_score(result.val_probabilities, context.dataset.labels[fold.val])


def train_val_split(
    labels: NDArray[np.uint8], val_fraction: float, seed: int, *, stratify: bool = False
) -> FoldIndices:
    """Split rows with scikit-learn's train_test_split, as the publications do."""
    from sklearn.model_selection import train_test_split

    train, val = train_test_split(
        np.arange(len(labels)),
        test_size=val_fraction,
        random_state=seed,
        stratify=labels if stratify else None,
    )
    return FoldIndices(np.asarray(train, np.int64), np.asarray(val, np.int64))


def load_model(result: FoldResult) -> Classifier:
    """Load the classifier that ``fit_and_score`` returned as bytes.

    Raises:
        ModelError: the bytes cannot be read.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / result.model_file).write_bytes(result.model_bytes)
        return load_classifier(Path(folder))


def score_images(
    model: ProbabilisticModel, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> Score:
    """Score a model on (n, 28, 28) uint8 images."""
    return require_score(model.predict_proba(images), labels)


def require_score(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> Score:
    """Score probabilities of which at least one row is not NaN."""
    result = score(probabilities, labels)
    assert result is not None
    return result
