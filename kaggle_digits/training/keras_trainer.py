"""A Keras network in training."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.models.backend import first_gpu, keras, precision, use_jit
from kaggle_digits.models.base import Classifier, KerasClassifier, flat_layers
from kaggle_digits.training.mixed_precision import autocast, with_loss_scaling
from kaggle_digits.training.muon import conv_muon
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.trainer import OnStep

# A Python step between two batches costs 1 ms; 16 batches a step halve the time of dense networks.
# Convolutions on a processor take far longer than that, and Keras traces the graph twice for it:
# 2 seconds.
STEPS_PER_EXECUTION, WITH_CONVOLUTIONS = 16, 1
SECONDS_BETWEEN_STEPS_SHOWN = 0.1
# The one cycle of the learning rate: where it is highest, and what share of that it starts at.
WARM_UP_SHARE, FIRST_SHARE = 0.2, 1 / 25
LOG_LOSS = "log_loss"
# Batches, and their size, that the statistics of batch normalisation are taken from anew.
STATISTICS_STEPS, STATISTICS_BATCH = 32, 512


class KerasTrainer:
    """A Keras network, its optimiser, and an order of rows that depends on seed and epoch only."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: KerasClassifier,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        seed: int,
    ) -> None:
        k = keras()
        self._classifier = classifier
        self.epochs = recipe.epochs
        self.steps = math.ceil(len(images) / recipe.batch_size)
        self._recipe, self._images, self._seed = recipe, images, seed
        targets: NDArray[Any] = labels.astype(np.int32)
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        # What is minimised may hold smoothing and penalties; what is shown compares with
        # validation.
        log_loss = k.metrics.SparseCategoricalCrossentropy(LOG_LOSS, from_logits=True)
        if recipe.label_smoothing:
            targets = np.eye(CLASSES, dtype=np.float32)[labels]
            loss = k.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            )
            log_loss = k.metrics.CategoricalCrossentropy(LOG_LOSS, from_logits=True)
        self._batches = Batches(images, targets, recipe.batch_size)
        self._rate = _schedule(recipe, self.steps)
        self._model = classifier.logits
        self._precision = precision()
        self._model.compile(
            optimizer=with_loss_scaling(_optimizer(recipe, self._rate), self._precision),
            loss=loss,
            metrics=["accuracy", log_loss],
            steps_per_execution=min(_steps_per_execution(self._model), self.steps),
            jit_compile="auto" if use_jit() else False,
        )
        self._model.optimizer.build(self._model.trainable_variables)
        # Metrics that make their variables in the first step have it traced twice.
        self._model.compute_metrics(None, targets[:1], np.zeros((1, CLASSES), np.float32))

    @property
    def classifier(self) -> Classifier:
        """See Trainer."""
        return self._classifier

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """See Trainer."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._images))
        callbacks = [_step_callback(on_step), *([_keep_weights()] if self._recipe.ema else [])]
        with autocast(self._model, self._precision):
            history = self._model.fit(
                **self._batches.arranged(order),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                callbacks=callbacks,
            ).history
        done = (epoch + 1) * self.steps
        rate = self._rate if isinstance(self._rate, float) else float(self._rate(done))
        return history[LOG_LOSS][0], history["accuracy"][0], rate

    def finish(self) -> None:
        """See Trainer; statistics that belong to other weights are taken anew.

        The network sees augmented training images, as it did all along (Izmailov et al. 2018,
        "Averaging weights leads to wider optima", section 3.3).
        """
        if not self._recipe.ema:
            return
        self._model.optimizer.finalize_variable_values(self._model.trainable_variables)
        k = keras()
        if any(isinstance(x, k.layers.BatchNormalization) for x in flat_layers(self._model)):
            chosen = np.random.default_rng([self._seed, self.epochs]).permutation(len(self._images))
            places = np.arange(STATISTICS_STEPS * STATISTICS_BATCH) % len(chosen)
            batches = chosen[places].reshape(STATISTICS_STEPS, STATISTICS_BATCH)
            update_batchnorm(self._model, (self._images[batch] for batch in batches))

    def state(self) -> bytes:
        """See Trainer."""
        packed = io.BytesIO()
        to_numpy = keras().ops.convert_to_numpy
        arrays = [to_numpy(variable) for variable in self._variables()]
        np.savez(packed, *arrays, made_by=np.array(self._made_by()))
        return packed.getvalue()

    def restore(self, state: bytes) -> None:
        """See Trainer."""
        with np.load(io.BytesIO(state)) as arrays:
            made_by = str(arrays["made_by"]) if "made_by" in arrays else self._made_by()
            if made_by != self._made_by():
                raise ValueError(f"begun on {made_by}, now on {self._made_by()}")
            for number, variable in enumerate(self._variables()):
                variable.assign(arrays[f"arr_{number}"])

    def _made_by(self) -> str:
        """Whatever else would go on from this state would end at other figures."""
        return f"{backend_name()} in {self._precision}"

    def _variables(self) -> list[Any]:
        """Weights, statistics and random states of the layers, then the optimiser's."""
        return [*self._model.variables, *self._model.optimizer.variables]


def _steps_per_execution(model: Any) -> int:
    if first_gpu() is not None:
        return STEPS_PER_EXECUTION
    convolution = keras().layers.Conv2D
    convolves = any(isinstance(layer, convolution) for layer in flat_layers(model))
    return WITH_CONVOLUTIONS if convolves else STEPS_PER_EXECUTION


def _schedule(recipe: Recipe, steps: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    schedules = keras().optimizers.schedules
    if recipe.schedule == "exponential":
        return schedules.ExponentialDecay(recipe.learning_rate, steps, 0.95, staircase=True)
    return _one_cycle(recipe.learning_rate, recipe.epochs * steps)


def _one_cycle(highest: float, total: int) -> Any:
    """A Keras schedule: up in a line over the first fifth of ``total`` steps, half a cosine down.

    Keras' own CosineDecay branches, and the rate is worked out for each weight: tracing a step
    took a fifth longer.
    """
    ops = keras().ops
    warm_up = max(1, round(WARM_UP_SHARE * total))

    class OneCycle(keras().optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """See _one_cycle."""

        def __call__(self, step: Any) -> Any:
            done = ops.cast(step, "float32")
            up = FIRST_SHARE + (1 - FIRST_SHARE) * done / warm_up
            along = ops.clip((done - warm_up) / max(1, total - warm_up), 0.0, 1.0)
            down = 0.5 * (1 + ops.cos(np.pi * along))
            return highest * ops.minimum(up, down)

    return OneCycle()


def _optimizer(recipe: Recipe, rate: Any) -> Any:
    optimizers = keras().optimizers
    average = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    if recipe.optimizer == "sgd":
        return optimizers.SGD(rate, momentum=0.9, nesterov=True, **average)
    if recipe.optimizer == "adam":
        return optimizers.Adam(rate, **average)
    if recipe.optimizer == "muon":
        return conv_muon(rate, weight_decay=recipe.weight_decay, **average)
    return optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **average)


def _keep_weights() -> Any:
    to_numpy = keras().ops.convert_to_numpy

    class KeepWeights(keras().callbacks.Callback):  # type: ignore[misc]
        """Keras' fit() ends by putting averaged weights in place; an epoch here is not the end."""

        kept: list[Any]

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.kept = [to_numpy(variable) for variable in self.model.trainable_variables]

        def on_train_end(self, logs: Any = None) -> None:
            for variable, value in zip(self.model.trainable_variables, self.kept, strict=True):
                variable.assign(value)

    return KeepWeights()


def _step_callback(on_step: OnStep) -> Any:
    class Steps(keras().callbacks.Callback):  # type: ignore[misc]
        """Passes figures on, no more often than an eye can follow."""

        shown = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now - self.shown >= SECONDS_BETWEEN_STEPS_SHOWN and logs:
                self.shown = now
                on_step(batch + 1, float(logs[LOG_LOSS]), float(logs["accuracy"]))

    return Steps()


class Batches:
    """Images and targets, to be handed out in one order after another."""

    def __init__(self, images: NDArray[np.uint8], targets: NDArray[Any], size: int) -> None:
        """Take (n, 28, 28) images and (n, …) targets; ``size`` is of a batch."""
        self._size = size
        self._rows: tuple[Any, Any] = (images, targets)
        if backend_name() == "tensorflow":
            import tensorflow as tf

            with tf.device("CPU:0"):
                self._rows = (tf.constant(images), tf.constant(targets))

    def arranged(self, order: NDArray[np.int64]) -> dict[str, Any]:
        """What fit is to be given so that the rows come in this order, the last batch perhaps less.

        Args:
            order: (n,) numbers of rows.
        """
        images, targets = self._rows
        if backend_name() != "tensorflow":
            return {
                "x": images[order],
                "y": targets[order],
                "batch_size": self._size,
                "shuffle": False,
            }
        import tensorflow as tf

        def batch(start: Any) -> tuple[Any, Any]:
            rows = order_held[start : start + self._size]
            return tf.gather(images, rows), tf.gather(targets, rows)

        with tf.device("CPU:0"):
            order_held = tf.constant(order)
            starts = tf.data.Dataset.range(0, len(order), self._size)
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = starts.map(batch).prefetch(2).with_options(options)
            return {"x": dataset, "shuffle": False}


def update_batchnorm(model: Any, batches: Iterable[NDArray[np.uint8]]) -> None:
    """Show ``model`` each batch as in training, and keep what its layers note of it.

    Args:
        model: uint8 (n, 28, 28) → anything.
        batches: all of one size; under JAX each size is compiled anew.
    """
    if backend_name() != "jax":
        for batch in batches:
            model(batch, training=True)
        return
    import jax

    def noted(trainable: Any, fixed: Any, images: Any) -> Any:
        return model.stateless_call(trainable, fixed, images, training=True)[1]

    compiled = jax.jit(noted)  # one operation at a time would take twenty times as long
    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    for batch in batches:
        fixed = compiled(trainable, fixed, batch)
    for variable, value in zip(model.non_trainable_variables, fixed, strict=True):
        variable.assign(value)
