"""Train a Keras network one epoch at a time."""

import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name
from kaggle_digits.data.digits import CLASSES, Images, Labels
from kaggle_digits.models import base
from kaggle_digits.models.backend import first_gpu, keras, precision, use_jit
from kaggle_digits.models.base import KerasClassifier, Normalizer, flat_layers
from kaggle_digits.models.registry import is_user_code
from kaggle_digits.training.callbacks import OnStep
from kaggle_digits.training.muon import conv_muon
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.schedules import SCHEDULES

# A Python call between two batches costs 1 ms: 16 batches per call halve the time of dense
# networks.
STEPS_PER_EXECUTION = 16
PROGRESS_INTERVAL = 0.1  # seconds
LOG_LOSS = "log_loss"
# Batches, and rows per batch, for new batch-normalization statistics of averaged weights.
BATCHNORM_STEPS, BATCHNORM_BATCH_SIZE = 32, 512

# The trainer of the last network that was fitted, by all that its graphs depend on. The next one of
# the same kind uses them: tracing takes as long as some epochs of a small network.
_fitted: dict[tuple[Any, ...], "KerasTrainer"] = {}


class KerasTrainer:
    """A compiled Keras network and its training rows.

    The order of the rows in an epoch depends on the seed and the epoch's number only, so a resumed
    training sees the same batches. ``classifier`` is the model with its current weights, ``epochs``
    the most that it trains for, and ``steps`` the batches per epoch.
    """

    def __init__(
        self, recipe: Recipe, classifier: KerasClassifier, images: Images, labels: Labels, seed: int
    ) -> None:
        k = keras()
        self.classifier, self.epochs = classifier, recipe.epochs
        self.steps = math.ceil(len(images) / recipe.batch_size)
        self.recipe, self._images, self._seed = recipe, images, seed
        targets: NDArray[Any] = labels.astype(np.int32)
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        # The loss may include label smoothing and penalties; this metric does not, so it can be
        # compared with the validation loss.
        log_loss = k.metrics.SparseCategoricalCrossentropy(LOG_LOSS, from_logits=True)
        if recipe.label_smoothing:
            targets = np.eye(CLASSES, dtype=np.float32)[labels]
            loss = k.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            )
            log_loss = k.metrics.CategoricalCrossentropy(LOG_LOSS, from_logits=True)
        self.batches = Batches(images, targets, recipe.batch_size)
        self._rate = SCHEDULES[recipe.schedule](recipe.learning_rate, self.epochs, self.steps)
        self.model = classifier.logits
        self.precision = precision()
        self.graph_settings = graph_settings(recipe, classifier.normalizer, len(images))
        optimizer = make_optimizer(recipe, self._rate, self.model)
        if self.precision == "float16":
            optimizer = k.optimizers.LossScaleOptimizer(optimizer)
        # A batch of convolutions on a CPU takes far longer than a Python call, and with several
        # batches per call Keras traces the graph twice, which takes 2 s.
        convolutional = any(isinstance(x, k.layers.Conv2D) for x in flat_layers(self.model))
        one_step = convolutional and first_gpu() is None
        self.model.compile(
            optimizer=optimizer,
            loss=loss,
            metrics=["accuracy", log_loss],
            steps_per_execution=1 if one_step else min(STEPS_PER_EXECUTION, self.steps),
            jit_compile="auto" if use_jit() else False,
        )
        self.model.optimizer.build(self.model.trainable_variables)
        # fit() would replace the weights by their average at its end; finish() does so once.
        self._apply_average = self.model.optimizer.finalize_variable_values
        self.model.optimizer.finalize_variable_values = lambda variables: None
        # Metrics that create their variables in the first step would cause a second tracing.
        self.model.compute_metrics(None, targets[:1], np.zeros((1, CLASSES), np.float32))

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """Train on every row once and return (loss, accuracy, learning rate)."""
        with autocast(self.model, self.precision):
            history = self.model.fit(
                **self.batches.fit_arguments(self.row_order(epoch)),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                callbacks=[_progress_callback(on_step)],
            ).history
        return history[LOG_LOSS][0], history["accuracy"][0], self.rate_after(epoch)

    def row_order(self, epoch: int) -> NDArray[np.int64]:
        """Return the indices of all rows in the order of that epoch, from 0."""
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._images))

    def rate_after(self, epoch: int) -> float:
        """Return the learning rate at the end of that epoch, from 0."""
        done = (epoch + 1) * self.steps
        return self._rate if isinstance(self._rate, float) else float(self._rate(done))

    def finish(self) -> None:
        """Replace the weights by their running average if the recipe has ``ema``.

        Batch-normalization statistics are computed again for the averaged weights, from augmented
        training images as during training (Izmailov et al. 2018, "Averaging weights leads to wider
        optima", section 3.3).
        """
        if not self.recipe.ema:
            return
        self._apply_average(self.model.trainable_variables)
        batchnorm = keras().layers.BatchNormalization
        if not any(isinstance(layer, batchnorm) for layer in flat_layers(self.model)):
            return
        rows = self.row_order(self.epochs)
        # Batches are all of one size, because JAX compiles each size anew.
        rows = rows[np.arange(BATCHNORM_STEPS * BATCHNORM_BATCH_SIZE) % len(rows)]
        batches = rows.reshape(BATCHNORM_STEPS, BATCHNORM_BATCH_SIZE)
        if backend_name() != "jax":
            for batch in batches:
                self.model(self._images[batch], training=True)
            return
        trainable, non_trainable = base.variable_values(self.model)
        for batch in batches:
            non_trainable = self.compiled_statistics(trainable, non_trainable, self._images[batch])
        for variable, value in zip(self.model.non_trainable_variables, non_trainable, strict=True):
            variable.assign(value)

    @cached_property
    def compiled_statistics(self) -> Any:
        """The model in training mode, compiled by JAX: (values, values, images) → statistics.

        It may be set to that of a trainer with the same layers, so that JAX compiles only one.
        """
        import jax

        def statistics(trainable: Any, non_trainable: Any, images: Any) -> Any:
            return self.model.stateless_call(trainable, non_trainable, images, training=True)[1]

        return jax.jit(statistics)  # uncompiled it takes twenty times as long

    def forget_rows(self) -> None:
        """Free the training rows; the trainer can only ``take_over`` another one afterwards."""
        del self.batches, self._images

    def take_over(self, other: "KerasTrainer") -> None:
        """Become ``other``, which has not begun, but keep the graphs that were traced.

        Both have the same ``graph_settings``. The results are those of ``other``.
        """
        for variable, value in zip(self._variables(), other._variables(), strict=True):
            variable.assign(value)
        self._images, self._seed, self.batches = other._images, other._seed, other.batches

    def skip_to(self, epoch: int) -> None:
        """Continue the learning-rate schedule at the beginning of ``epoch``, from 0."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        optimizer.iterations.assign(epoch * self.steps)

    def state(self) -> bytes:
        """Return weights, statistics, random states and optimizer variables as an .npz file."""
        file = io.BytesIO()
        arrays = map(keras().ops.convert_to_numpy, self._variables())
        np.savez(file, *arrays, made_by=np.array(self._backend_and_precision()))
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        """Set all variables to those of ``state``.

        ValueError is raised if it is of another model, backend or precision, because the results
        would differ.
        """
        with np.load(io.BytesIO(state)) as arrays:
            current = self._backend_and_precision()
            saved = str(arrays["made_by"]) if "made_by" in arrays else current
            if saved != current:
                raise ValueError(f"begun on {saved}, now on {current}")
            for number, variable in enumerate(self._variables()):
                variable.assign(arrays[f"arr_{number}"])

    def variable_groups(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the variables of the model, trainable and others, and those of the optimizer."""
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def _backend_and_precision(self) -> str:
        return f"{backend_name()} in {self.precision}"

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


def keep_graphs(trainer: object) -> None:
    """Keep a Keras trainer that has ended, without its rows, for the next one of its graphs.

    A model of the user's may hold state of its own, so its graphs are not kept.
    """
    if isinstance(trainer, KerasTrainer) and not is_user_code(trainer.recipe.model):
        trainer.forget_rows()
        _fitted[trainer.graph_settings] = trainer


def graph_settings(recipe: Recipe, normalizer: Normalizer | None, rows: int) -> tuple[Any, ...]:
    """Return all that the graphs of a network for that number of training rows depend on."""
    steps = math.ceil(rows / recipe.batch_size)
    return (recipe, normalizer, steps, precision(), use_jit(), first_gpu() is None)


def has_kept_graphs(recipe: Recipe, normalizer: Normalizer, rows: int) -> bool:
    """Return whether a trainer with these settings was kept."""
    return graph_settings(recipe, normalizer, rows) in _fitted


def with_kept_graphs(trainer: KerasTrainer) -> KerasTrainer:
    """Return the trainer that was kept, with the state and rows of ``trainer``, if it fits."""
    kept = _fitted.pop(trainer.graph_settings, None)
    _fitted.clear()
    if kept is None:
        return trainer
    kept.take_over(trainer)
    return kept


class Batches:
    """The training rows in batches, as input of Keras' ``fit``.

    If ``fit`` gets arrays, tf.data autotunes the threads that slice them, and half of all epochs
    take up to twice as long, until the autotuning thread wakes (benchmarks/research.md). So under
    TensorFlow ``fit`` gets a dataset without autotuning. The last batch may be smaller.
    """

    def __init__(self, images: Images, targets: NDArray[Any], batch_size: int) -> None:
        self.batch_size = batch_size
        self.rows: tuple[Any, Any] = (images, targets)
        if backend_name() == "tensorflow":
            import tensorflow as tf

            with tf.device("CPU:0"):
                self.rows = (tf.constant(images), tf.constant(targets))

    def fit_arguments(self, order: NDArray[np.int64]) -> dict[str, Any]:
        """Return the arguments of ``fit`` for the rows in the order of the indices ``order``."""
        images, targets = self.rows
        if backend_name() != "tensorflow":
            arrays = {"x": images[order], "y": targets[order]}
            return arrays | {"batch_size": self.batch_size, "shuffle": False}
        import tensorflow as tf

        def batch(start: Any) -> tuple[Any, Any]:
            rows = indices[start : start + self.batch_size]
            return tf.gather(images, rows), tf.gather(targets, rows)

        with tf.device("CPU:0"):
            indices = tf.constant(order)
            starts = tf.data.Dataset.range(0, len(order), self.batch_size)
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = starts.map(batch).prefetch(2).with_options(options)
            return {"x": dataset, "shuffle": False}


def make_optimizer(recipe: Recipe, learning_rate: Any, model: Any) -> Any:
    """Return the recipe's Keras optimizer; ``model`` returns logits."""
    optimizers = keras().optimizers
    average = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    if recipe.optimizer == "sgd":
        return optimizers.SGD(learning_rate, momentum=0.9, nesterov=True, **average)
    if recipe.optimizer == "adam":
        return optimizers.Adam(learning_rate, **average)
    if recipe.optimizer == "muon":
        variables = [layer.trainable_variables for layer in flat_layers(model)]
        logits: list[Any] = next(filter(None, reversed(variables)), [])  # of the last layer
        return conv_muon(learning_rate, weight_decay=recipe.weight_decay, exclude=logits, **average)
    return optimizers.AdamW(learning_rate, weight_decay=recipe.weight_decay, **average)


@contextmanager
def autocast(model: Any, precision: str) -> Iterator[None]:
    """Compute the hidden layers of ``model``, which returns logits, in ``precision``.

    As in Micikevicius et al. 2018 ("Mixed precision training"): weights are kept in float32, matrix
    products are computed in 16 bits, and with float16, whose range is short, the loss is scaled up
    and the gradients down again. Augmentation, normalization, the logits layer, the loss and the
    metrics stay in float32; batch normalization computes its moments in float32 by itself. Outside
    the block, the model is an ordinary float32 model.
    """
    layers = []
    if precision != "float32":
        names = [layer.name for layer in model.layers]
        after = model.layers[names.index(base.NORMALIZATION_LAYER) + 1 :]
        *hidden, _logits = [inner for layer in after for inner in flat_layers(layer)]
        layers = [layer for layer in hidden if layer.dtype_policy.name == "float32"]
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = f"mixed_{precision}"
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def _progress_callback(on_step: OnStep) -> Any:
    class Progress(keras().callbacks.Callback):  # type: ignore[misc]
        shown = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now - self.shown >= PROGRESS_INTERVAL and logs:
                self.shown = now
                on_step(batch + 1, float(logs[LOG_LOSS]), float(logs["accuracy"]))

    return Progress()
