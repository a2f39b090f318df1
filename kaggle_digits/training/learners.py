"""One model while it learns: an epoch at a time, its whole state as bytes and back."""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.models.classifier import Classifier, KerasClassifier, ScikitClassifier
from kaggle_digits.models.engine import keras
from kaggle_digits.models.normalize import learn
from kaggle_digits.models.zoo import SCIKIT_MODELS, build
from kaggle_digits.training.recipe import Recipe

# A Python step between two batches costs 1 ms; 16 batches a step halve the time of small networks.
STEPS_PER_EXECUTION = 16
SECONDS_BETWEEN_STEPS_SHOWN = 0.1
WARM_UP_SHARE = 0.2
# From this share of the epochs on, scikit-learn's batches are so many times larger.
BATCH_GROWTH = [(0.9, 64), (0.75, 16), (0.5, 4), (0.0, 1)]

OnStep = Callable[[int, float, float], None]


class Learner(Protocol):
    """A model in training.

    Attributes:
        epochs: how many it wants at most.
        steps: batches in an epoch.
    """

    epochs: int
    steps: int

    @property
    def classifier(self) -> Classifier:
        """The model as it is now."""

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """Pass over the training rows once; returns (loss, accuracy, learning rate)."""

    def state(self) -> bytes:
        """Everything that going on from here needs."""

    def restore(self, state: bytes) -> None:
        """Go back to ``state``; what follows is the same bit for bit."""


def make_learner(
    recipe: Recipe, images: NDArray[np.uint8], labels: NDArray[np.uint8], seed: int
) -> Learner:
    """A fresh learner for ``recipe``, its normalisation learnt on ``images``.

    Args:
        recipe: how to train.
        images: (n, 28, 28) uint8, the training rows.
        labels: (n,) uint8.
        seed: of first weights, dropout and the order of rows.

    Raises:
        UsageError, ModelError: the model cannot be built.
    """
    normalizer = learn(recipe.normalize, images)
    if recipe.model not in SCIKIT_MODELS:  # those need no TensorFlow
        keras().backend.clear_session()
        keras().utils.set_random_seed(seed)
    model = build(recipe.model, recipe.options, rows=len(images))
    if hasattr(model, "predict_proba"):
        classifier = ScikitClassifier(model, normalizer)
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        epochwise = hasattr(model, "partial_fit") and hasattr(model, "hidden_layer_sizes")
        kind = EpochwiseScikitLearner if epochwise else ScikitLearner
        return kind(recipe, classifier, images, labels)
    return KerasLearner(recipe, KerasClassifier.around(model, normalizer), images, labels, seed)


class KerasLearner:
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
        self._targets: NDArray[Any] = labels.astype(np.int32)
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        if recipe.label_smoothing:
            self._targets = np.eye(10, dtype=np.float32)[labels]
            loss = k.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            )
        self._rate = _schedule(recipe, self.steps)
        self._model = classifier.logits
        self._model.compile(
            optimizer=_optimizer(recipe, self._rate),
            loss=loss,
            metrics=["accuracy"],
            steps_per_execution=min(STEPS_PER_EXECUTION, self.steps),
            jit_compile=False,  # XLA is 4 to 9 times slower on a CPU
        )
        self._model.optimizer.build(self._model.trainable_variables)

    @property
    def classifier(self) -> Classifier:
        """See Learner."""
        return self._classifier

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """See Learner."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._images))
        history = self._model.fit(
            self._images[order],
            self._targets[order],
            batch_size=self._recipe.batch_size,
            shuffle=False,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
            callbacks=[_step_callback(on_step)],
        ).history
        done = (epoch + 1) * self.steps
        rate = self._rate if isinstance(self._rate, float) else float(self._rate(done))
        return history["loss"][0], history["accuracy"][0], rate

    def state(self) -> bytes:
        """See Learner."""
        packed = io.BytesIO()
        to_numpy = keras().ops.convert_to_numpy
        np.savez(packed, *[to_numpy(variable) for variable in self._variables()])
        return packed.getvalue()

    def restore(self, state: bytes) -> None:
        """See Learner."""
        with np.load(io.BytesIO(state)) as arrays:
            for number, variable in enumerate(self._variables()):
                variable.assign(arrays[f"arr_{number}"])

    def _variables(self) -> list[Any]:
        """Weights, statistics and random states of the layers, then the optimiser's."""
        return [*self._model.variables, *self._model.optimizer.variables]


class ScikitLearner:
    """A scikit-learn classifier that is fitted in one go: one epoch."""

    epochs = 1
    steps = 1

    @property
    def classifier(self) -> Classifier:
        """See Learner."""
        return self._classifier

    def __init__(
        self,
        recipe: Recipe,
        classifier: ScikitClassifier,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
    ) -> None:
        self._classifier = classifier
        self._features, self._labels = classifier.features(images), labels

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """See Learner."""
        with warnings.catch_warnings():
            # Stopping at max_iter is this model's way to end; the figures say what it is worth.
            warnings.filterwarnings("ignore", message=".*converge.*")
            self._classifier.estimator.fit(self._features, self._labels)
        loss, accuracy = self._training_figures()
        on_step(1, loss, accuracy)
        return loss, accuracy, math.nan

    def _training_figures(self) -> tuple[float, float]:
        from sklearn.metrics import log_loss

        estimator = self._classifier.estimator
        probabilities = estimator.predict_proba(self._features)
        guesses = estimator.classes_[probabilities.argmax(axis=1)]
        loss = float(log_loss(self._labels, probabilities, labels=estimator.classes_))
        return loss, float((guesses == self._labels).mean())

    def state(self) -> bytes:
        """See Learner."""
        import joblib

        packed = io.BytesIO()
        joblib.dump(self._classifier.estimator, packed)
        return packed.getvalue()

    def restore(self, state: bytes) -> None:
        """See Learner."""
        import joblib

        self._classifier.estimator = joblib.load(io.BytesIO(state))


class EpochwiseScikitLearner(ScikitLearner):
    """scikit-learn's MLPClassifier, one pass at a time by partial_fit."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: ScikitClassifier,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
    ) -> None:
        super().__init__(recipe, classifier, images, labels)
        self.epochs = recipe.epochs
        self._recipe = recipe
        self._classes = np.unique(labels)
        classifier.estimator.set_params(learning_rate_init=recipe.learning_rate)

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """See Learner."""
        estimator = self._classifier.estimator
        estimator.set_params(batch_size=min(self._batch_size(epoch), len(self._labels)))
        with warnings.catch_warnings():
            # It takes Ctrl-C for itself, warns, and goes on with the next epoch.
            warnings.filterwarnings("error", message="Training interrupted by user")
            try:
                estimator.partial_fit(self._features, self._labels, classes=self._classes)
            except UserWarning:
                raise KeyboardInterrupt from None
        loss, accuracy = self._training_figures()
        on_step(1, loss, accuracy)
        return loss, accuracy, float(estimator.learning_rate_init)

    def _batch_size(self, epoch: int) -> int:
        """Larger towards the end, which quiets as a smaller rate does (Smith et al. 2018,
        "Don't decay the learning rate, increase the batch size"); the rate itself is fixed."""
        if self._recipe.schedule == "constant":
            return self._recipe.batch_size
        done = epoch / self.epochs
        times = next(times for share, times in BATCH_GROWTH if done >= share)
        return self._recipe.batch_size * times


def _schedule(recipe: Recipe, steps: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    total = recipe.epochs * steps
    warm_up = max(1, round(WARM_UP_SHARE * total))
    return keras().optimizers.schedules.CosineDecay(
        recipe.learning_rate / 25,
        max(1, total - warm_up),
        warmup_target=recipe.learning_rate,
        warmup_steps=warm_up,
    )


def _optimizer(recipe: Recipe, rate: Any) -> Any:
    optimizers = keras().optimizers
    if recipe.optimizer == "sgd":
        return optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adam":
        return optimizers.Adam(rate)
    return optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


def _step_callback(on_step: OnStep) -> Any:
    class Steps(keras().callbacks.Callback):  # type: ignore[misc]
        """Passes figures on, no more often than an eye can follow."""

        shown = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now - self.shown >= SECONDS_BETWEEN_STEPS_SHOWN and logs:
                self.shown = now
                on_step(batch + 1, float(logs["loss"]), float(logs["accuracy"]))

    return Steps()
