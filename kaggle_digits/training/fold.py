"""One member: epochs, early stopping, checkpoints, predictions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core import interrupts
from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.environment import peak_memory_mb
from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.digits import Digits
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.scores import score
from kaggle_digits.models.backend import reset_session
from kaggle_digits.models.base import Classifier, KerasClassifier, SklearnClassifier
from kaggle_digits.models.litert import to_litert
from kaggle_digits.models.normalization import fit_normalizer
from kaggle_digits.models.registry import SKLEARN_MODELS, build
from kaggle_digits.models.tta import predict_tta
from kaggle_digits.training import checkpoint as checkpoints
from kaggle_digits.training.augmentation import augmentation_layer
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.checkpoint import Checkpoint
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.sklearn_trainer import PartialFitTrainer, SklearnTrainer
from kaggle_digits.training.trainer import Trainer

# Less often than this, saving costs under 1 % of training.
CHECKPOINT_INTERVAL = 10.0

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class FoldTask:
    """All that training one member needs besides the data.

    Attributes:
        member: its number in the run, from 0.
        recipe: how to train it.
        fold: the rows it learns from and the rows held out.
        seed: its own; see member_seed.
        pseudo: (n_test,) int8 labels of test images that join the rows it learns from, -1 for
            those that do not; None for none.
    """

    member: int
    recipe: Recipe
    fold: FoldIndices
    seed: int
    pseudo_labels: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class FoldResult:
    """A trained member, as arrays and bytes, so that it can come from another process.

    Attributes:
        validation: (n_val, 10) float32 probabilities of the held-out rows.
        test: (n_test, 10) float32 probabilities.
        history: one Epoch an epoch.
        kept_epoch: the epoch, from 1, whose weights were kept.
        seconds: of training and validating; predicting test.csv is not in it.
        model_file: name of the model file, and
        model: its bytes.
        lite: the bytes of model.tflite, or None; see kaggle_digits.models.litert.
        first_layer: (units, height, width) float32, or None.
        peak_memory_mb: most memory that the process it was trained in has held, in MB, or None.
    """

    val_probabilities: Probabilities
    test_probabilities: Probabilities
    history: list[EpochMetrics]
    kept_epoch: int
    seconds: float
    model_file: str
    model_bytes: bytes
    litert_bytes: bytes | None
    first_layer: NDArray[np.float32] | None
    peak_memory_mb: float | None = None


def member_seed(seed: int, member: int) -> int:
    """The seed of member ``member`` in a run with ``seed``: the same wherever it is trained."""
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def fit_fold(
    task: FoldTask,
    train: Digits,
    test: Digits,
    *,
    checkpoint: Checkpoint | None = None,
    callback: TrainingCallback | None = None,
) -> FoldResult:
    """Train one member from scratch, or on from ``checkpoint`` if that holds something.

    Args:
        task: what to train.
        train: all labelled rows; the member takes its part of them.
        test: the rows to predict.
        checkpoint: where to save now and then, and what to go on from; None saves nothing.
        callback: told of steps and epochs.

    Returns:
        The member; the same bit for bit whether or not it was interrupted.

    Raises:
        ModelError: the model cannot be built, or its loss is no longer a number.
    """
    assert train.labels is not None
    callback = callback or TrainingCallback()
    held_out = task.fold.val
    images, labels = _learnt_from(task, train, test)
    learner = make_trainer(task.recipe, images, labels, task.seed)
    progress = checkpoints.restore(checkpoint, learner, task.member)
    val_images, val_labels = train.images[held_out], train.labels[held_out]
    patience = task.recipe.patience if len(held_out) else None
    callback.on_member_begin(task.member, learner.epochs, learner.steps, len(progress.history))
    saved = time.monotonic()
    for epoch in range(len(progress.history), learner.epochs):
        if patience and epoch and epoch - progress.best_epoch >= patience:
            break
        started = time.perf_counter()
        loss, accuracy, rate = learner.train_epoch(epoch, _step_of(callback, task.member))
        if not np.isfinite(loss):
            raise ModelError(
                f"member {task.member}: the loss is no longer a number in epoch {epoch + 1}; "
                f"lower the learning rate, e.g. --learning-rate {task.recipe.learning_rate / 10:g}"
            )
        if epoch + 1 == learner.epochs:
            learner.finish()
        measured = score(learner.classifier.predict_proba(val_images), val_labels)
        row = EpochMetrics(
            task.member,
            epoch + 1,
            loss,
            accuracy,
            measured.log_loss if measured else np.nan,
            measured.accuracy if measured else np.nan,
            rate,
            time.perf_counter() - started,
        )
        progress.history.append(row)
        callback.on_epoch_end(row)
        interrupts.raise_if_interrupted()
        if patience and progress.best_epoch == row.epoch:
            progress.best = learner.state()
        if checkpoint and time.monotonic() - saved >= CHECKPOINT_INTERVAL:
            checkpoints.save(checkpoint, learner, progress)
            saved = time.monotonic()
    kept = len(progress.history)
    if patience:
        kept = progress.best_epoch
        learner.restore(progress.best)
    views, affine_range = task.recipe.views, task.recipe.affine_range
    model_file, model = _model_file(learner.classifier)
    return FoldResult(
        predict_tta(learner.classifier, val_images, views, affine_range),
        predict_tta(learner.classifier, test.images, views, affine_range),
        progress.history,
        kept,
        sum(row.seconds for row in progress.history),
        model_file,
        model,
        to_litert(learner.classifier, images),
        learner.classifier.first_layer_weights(),
        peak_memory_mb(),
    )


def _learnt_from(
    task: FoldTask, train: Digits, test: Digits
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images and labels that a member learns from, pseudo-labelled ones last."""
    assert train.labels is not None
    rows = task.fold.train
    if task.pseudo_labels is None:
        return train.images[rows], train.labels[rows]
    sure = np.flatnonzero(task.pseudo_labels >= 0)
    return (
        np.concatenate([train.images[rows], test.images[sure]]),
        np.concatenate([train.labels[rows], task.pseudo_labels[sure].astype(np.uint8)]),
    )


def _step_of(callback: TrainingCallback, member: int) -> Callable[[int, float, float], None]:
    def on_step(step: int, loss: float, accuracy: float) -> None:
        interrupts.raise_if_interrupted()
        callback.on_step(member, step, loss, accuracy)

    return on_step


def _model_file(classifier: Classifier) -> tuple[str, bytes]:
    with TemporaryDirectory() as folder, wrap_os_errors(Path(folder)):
        path = classifier.save(Path(folder))
        return path.name, path.read_bytes()


def make_trainer(
    recipe: Recipe, images: NDArray[np.uint8], labels: NDArray[np.uint8], seed: int
) -> Trainer:
    """A fresh learner for ``recipe``, its normalisation learnt on ``images``.

    Args:
        recipe: how to train.
        images: (n, 28, 28) uint8, the training rows.
        labels: (n,) uint8.
        seed: of first weights, dropout and the order of rows.

    Raises:
        UsageError, ModelError: the model cannot be built.
    """
    normalizer = fit_normalizer(recipe.normalize, images)
    if recipe.model not in SKLEARN_MODELS:  # those need no TensorFlow
        reset_session(seed)
    model = build(recipe.model, recipe.options, rows=len(images), batch_size=recipe.batch_size)
    if hasattr(model, "predict_proba"):
        fitted = SklearnClassifier(model, normalizer)
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        epochwise = hasattr(model, "partial_fit") and hasattr(model, "hidden_layer_sizes")
        kind = PartialFitTrainer if epochwise else SklearnTrainer
        return kind(recipe, fitted, images, labels)
    augment = augmentation_layer(recipe.augment, seed) if recipe.augment else None
    classifier = KerasClassifier.wrap(model, normalizer, augment)
    return KerasTrainer(recipe, classifier, images, labels, seed)
