"""Fit one model on one fold."""

import io
import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core import interrupts
from kaggle_digits.core.atomic_io import read_file, wrap_os_errors, write_bytes
from kaggle_digits.core.environment import peak_memory_mb
from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.digits import Digits, Images, Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.data.splits import FoldIndices, Rows
from kaggle_digits.metrics.scores import score
from kaggle_digits.models.backend import reset_session
from kaggle_digits.models.base import Classifier, KerasClassifier, SklearnClassifier, fit_normalizer
from kaggle_digits.models.formats import to_litert
from kaggle_digits.models.io import UntrustedError
from kaggle_digits.models.registry import SKLEARN_MODELS, build, explain_user_errors, is_user_code
from kaggle_digits.models.tta import KeptCopies, predict_tta
from kaggle_digits.training import keras_trainer
from kaggle_digits.training.augmentation import add_upstrokes, augmentation_layer
from kaggle_digits.training.callbacks import EpochMetrics, OnStep, TrainingCallback
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.sklearn_trainer import PartialFitTrainer, SklearnTrainer

MAX_CHECKPOINT_BYTES = 4 << 30
# Seconds between two checkpoints; saving at this interval takes less than 1 % of the time.
CHECKPOINT_INTERVAL = 10.0
PROBED_IMAGES = 16  # on which a model of the user's is asked whether it returns probabilities

Trainer = KerasTrainer | SklearnTrainer


@dataclass(frozen=True)
class FoldTask:
    """What fitting model number ``member``, from 0, needs besides the data.

    ``pseudo_labels`` are (n_test,) int8 labels of test images to train on as well, -1 for none.
    ``deadline`` is the time.time() before which the last epoch should end. ``litert`` is whether
    the result has the model for LiteRT, too.
    """

    member: int
    recipe: Recipe
    fold: FoldIndices
    seed: int
    pseudo_labels: NDArray[np.int8] | None = None
    deadline: float | None = None
    litert: bool = True


@dataclass(frozen=True)
class FoldResult:
    """A fitted model and its predictions, as arrays and bytes that another process can send.

    Probabilities are (n, 10) float32, weights of the first layer (units, height, width) float32.
    ``kept_epoch`` counts from 1; ``skipped_epochs`` were left out to keep the deadline;
    ``seconds`` do not include the predictions of test.csv.
    ``litert_bytes`` is None if the model cannot be converted or the task does not want it.
    """

    task: FoldTask
    val_probabilities: Probabilities
    test_probabilities: Probabilities
    history: list[EpochMetrics]
    kept_epoch: int
    skipped_epochs: int
    seconds: float
    model_file: str
    model_bytes: bytes
    litert_bytes: bytes | None
    first_layer: NDArray[np.float32] | None
    peak_memory_mb: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The file that holds the state of one unfinished training."""

    path: Path

    def load(self) -> bytes | None:
        """Return the content that was saved last; None if there is none."""
        try:
            return read_file(self.path, MAX_CHECKPOINT_BYTES)
        except (OSError, ValueError):  # a missing or damaged one only costs time
            return None

    def save(self, content: bytes) -> None:
        """Replace the content atomically."""
        write_bytes(self.path, content, durable=False)


def member_seed(seed: int, member: int) -> int:
    """Return the seed of model number ``member`` in a run with ``seed``."""
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def fit_fold(task: FoldTask, train: Digits, test: Digits, **options: Any) -> FoldResult:
    """Fit one model; the arguments are those of ``fold_epochs``."""
    epochs = fold_epochs(task, train, test, **options)
    while True:
        try:
            next(epochs)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Epoch:
    """An epoch that ``trainer`` is to train, counted from 0; ``on_step`` receives its progress."""

    trainer: Trainer
    number: int
    on_step: OnStep


def fold_epochs(
    task: FoldTask,
    train: Digits,
    test: Digits,
    *,
    checkpoint: bytes | None = None,
    save_checkpoint: Callable[[bytes], object] | None = None,
    callback: TrainingCallback | None = None,
    test_copies: KeptCopies | None = None,
) -> Generator[Epoch, tuple[float, float, float] | None, FoldResult]:
    """Fit one model, from the start or from ``checkpoint``, the last content that was saved.

    The generator yields each epoch before training it. A caller that trains several models at once
    sends what ``train_epoch`` would return instead. ``train`` has all labelled rows, of which the
    task's fold is used; ``test`` has the rows to predict, of which several models of one process
    may share the ``test_copies``. An interrupted training that is resumed has the same result. If
    the task's deadline comes too early, epochs are skipped, so that the schedule still comes to its
    end. Raises UsageError or ModelError if the model cannot be built or its loss is not finite.
    """
    callback, recipe = callback or TrainingCallback(), task.recipe
    problem = f"member {task.member}: model {recipe.model} cannot be trained"
    users_errors = explain_user_errors(problem, every=False)
    with users_errors if is_user_code(recipe.model) else nullcontext():
        images, labels = training_rows(task, train, test)
        val_images, val_labels = _rows(train, task.fold.val)
        trainer = make_trainer(recipe, images, labels, task.seed)
        history, best = _restore(checkpoint, trainer, task.member)
        patience = recipe.patience if len(val_images) else None

        def on_step(step: int, loss: float, accuracy: float) -> None:
            interrupts.raise_if_interrupted()
            callback.on_step(task.member, step, loss, accuracy)

        epoch = first_epoch = history[-1].epoch if history else 0
        callback.on_member_begin(task.member, trainer.epochs, trainer.steps, epoch)
        saved = time.monotonic()
        while epoch < trainer.epochs:
            if patience and epoch and epoch - _best_epoch(history) >= patience:
                break
            started = time.perf_counter()
            metrics = yield Epoch(trainer, epoch, on_step)
            loss, accuracy, rate = metrics or trainer.train_epoch(epoch, on_step)
            if not np.isfinite(loss):
                raise ModelError(
                    f"member {task.member}: the loss is no longer a number in epoch {epoch + 1}; "
                    f"lower the learning rate, which is {recipe.learning_rate:g}"
                )
            skipped = _skipped(
                task, trainer.epochs - epoch - 1, started if epoch > first_epoch else 0.0
            )
            if epoch + 1 + skipped == trainer.epochs:
                trainer.finish()
            val = score(trainer.classifier.predict_proba(val_images), val_labels)
            val_metrics = (val.log_loss, val.accuracy) if val else (np.nan, np.nan)
            seconds = time.perf_counter() - started
            row = EpochMetrics(task.member, epoch + 1, loss, accuracy, *val_metrics, rate, seconds)
            history.append(row)
            callback.on_epoch_end(row)
            interrupts.raise_if_interrupted()
            if patience and _best_epoch(history) == row.epoch:
                best = trainer.state()
            if save_checkpoint and time.monotonic() - saved >= CHECKPOINT_INTERVAL:
                save_checkpoint(_dump(trainer, history, best))
                saved = time.monotonic()
            epoch += 1 + skipped
            if skipped:
                callback.on_message(
                    f"member {task.member + 1}: skips {skipped} of {trainer.epochs} epochs, which "
                    "take longer than measured, to keep the time limit"
                )
                trainer.skip_to(epoch)
        if patience:
            trainer.restore(best)
        callback.on_predict_begin(task.member, len(val_images) + len(test), recipe.views)
        result = _make_result(
            task,
            trainer,
            history,
            keeps_best=bool(patience),
            train=images,
            val=val_images,
            test=test_copies or test.images,
        )
        keras_trainer.keep_graphs(trainer)
        return result


def _make_result(
    task: FoldTask,
    trainer: Trainer,
    history: list[EpochMetrics],
    *,
    keeps_best: bool,
    train: Images,
    val: Images,
    test: Images | KeptCopies,
) -> FoldResult:
    """Predict with the fitted model, of its best epoch with ``keeps_best``, and save it."""
    classifier, recipe = trainer.classifier, task.recipe
    with TemporaryDirectory() as folder, wrap_os_errors(Path(folder)):
        path = classifier.save(Path(folder))
        model_bytes = path.read_bytes()
    return FoldResult(
        task,
        val_probabilities=predict_views(classifier, val, recipe),
        test_probabilities=predict_views(classifier, test, recipe),
        history=history,
        kept_epoch=_best_epoch(history) if keeps_best else history[-1].epoch,
        skipped_epochs=0 if keeps_best else trainer.epochs - len(history),
        seconds=sum(row.seconds for row in history),
        model_file=path.name,
        model_bytes=model_bytes,
        litert_bytes=to_litert(classifier, train) if task.litert else None,
        first_layer=classifier.first_layer_weights(),
        peak_memory_mb=peak_memory_mb(),
    )


def predict_views(
    classifier: Classifier, images: Images | KeptCopies, recipe: Recipe
) -> Probabilities:
    """Return the probabilities averaged over the recipe's views."""
    return predict_tta(classifier, images, recipe.views, recipe.affine_range)[recipe.views]


def _rows(train: Digits, rows: Rows) -> tuple[Images, Labels]:
    """Return images and labels of ``rows``."""
    assert train.labels is not None
    return train.images[rows], train.labels[rows]


def training_rows(task: FoldTask, train: Digits, test: Digits) -> tuple[Images, Labels]:
    """Return images and labels of the training rows and pseudo-labels, some 1s with an upstroke."""
    images, labels = _rows(train, task.fold.train)
    if task.pseudo_labels is not None:
        labelled = np.flatnonzero(task.pseudo_labels >= 0)
        images = np.concatenate([images, test.images[labelled]])
        labels = np.concatenate([labels, task.pseudo_labels[labelled].astype(np.uint8)])
    if task.recipe.augment and task.recipe.augment.upstrokes:
        images = add_upstrokes(images, labels, task.recipe.augment.upstrokes, task.seed)
    return images, labels


def _skipped(task: FoldTask, left: int, started: float) -> int:
    """Return how many of the ``left`` epochs cannot be trained before the deadline.

    ``started`` is the time.perf_counter() of the last epoch; 0 for the slower first one.
    """
    if task.deadline is None:
        return 0
    remaining = max(0.0, task.deadline - time.time())
    if not started:
        return 0 if remaining else left
    return max(0, left - int(remaining / (time.perf_counter() - started)))


def make_trainer(recipe: Recipe, images: Images, labels: Labels, seed: int) -> Trainer:
    """Build the recipe's model, fit its normalization and return its trainer.

    Images are (n, 28, 28) uint8, labels (n,) uint8. The seed is that of initial weights, dropout,
    augmentation and the order of rows.
    """
    normalizer = fit_normalizer(recipe.normalize, images)
    if recipe.model not in SKLEARN_MODELS:  # these work without TensorFlow
        is_kept = keras_trainer.has_kept_graphs(recipe, normalizer, len(images))
        reset_session(seed, keep_graphs=is_kept)
    sizes = {"rows": len(images), "batch_size": recipe.batch_size}
    model = build(recipe.model, recipe.model_options, **sizes)
    if not hasattr(model, "predict_proba"):
        augment = augmentation_layer(recipe.augment, seed) if recipe.augment else None
        probe = images[:PROBED_IMAGES] if is_user_code(recipe.model) else None
        network = KerasClassifier.wrap(model, normalizer, augment, probe=probe)
        return keras_trainer.with_kept_graphs(KerasTrainer(recipe, network, images, labels, seed))
    if "random_state" in getattr(model, "get_params", dict)():
        model.set_params(random_state=seed)
    classifier = SklearnClassifier(model, normalizer)
    if hasattr(model, "partial_fit") and hasattr(model, "hidden_layer_sizes"):
        return PartialFitTrainer(recipe, classifier, images, labels)
    return SklearnTrainer(recipe, classifier, images, labels)


def _best_epoch(history: Sequence[EpochMetrics]) -> int:
    """Return the epoch with the lowest validation loss, from 1."""
    return history[int(np.argmin([row.val_loss for row in history]))].epoch


def _dump(trainer: Trainer, history: Sequence[EpochMetrics], best: bytes) -> bytes:
    """Return everything needed to resume, as an .npz file; ``best`` is the best epoch's state."""
    file = io.BytesIO()
    np.savez(
        file,
        history=np.array(json.dumps([asdict(row) for row in history])),
        state=np.frombuffer(trainer.state(), np.uint8),
        best=np.frombuffer(best, np.uint8),
    )
    return file.getvalue()


def _restore(
    content: bytes | None, trainer: Trainer, member: int
) -> tuple[list[EpochMetrics], bytes]:
    """Restore ``trainer`` from the checkpoint and return the history and the best epoch's state.

    Without a checkpoint, or if it is damaged or an untrusted pickle, training starts from the
    beginning and ends with the same model. ModelError is raised if it is of another model.
    """
    if not content:
        return [], b""
    try:
        with np.load(io.BytesIO(content)) as arrays:
            history = [EpochMetrics(**row) for row in json.loads(str(arrays["history"]))]
            np.array([astuple(row) for row in history], np.float64)  # raises unless all are numbers
            state, best = arrays["state"].tobytes(), arrays["best"].tobytes()
    except Exception:  # zipfile and numpy raise many types for a damaged file
        return [], b""
    try:
        trainer.restore(state)
    except UntrustedError:
        return [], b""
    except ValueError as error:
        raise ModelError(
            f"the checkpoint of member {member} does not fit the model as it is now "
            f"({' '.join(str(error).split())[:80]}); delete members/{member} in the run's folder "
            "and resume with: `kd.resume(dataset)`"
        ) from error
    return history, best
