"""scikit-learn's models in training."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.models import io
from kaggle_digits.models.base import Classifier, SklearnClassifier
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.trainer import OnStep

# From this share of the epochs on, batches are so many times larger.
BATCH_GROWTH = [(0.9, 64), (0.75, 16), (0.5, 4), (0.0, 1)]


class SklearnTrainer:
    """A scikit-learn classifier that is fitted in one go: one epoch."""

    epochs = 1
    steps = 1

    @property
    def classifier(self) -> Classifier:
        """See Trainer."""
        return self._classifier

    def __init__(
        self,
        recipe: Recipe,
        classifier: SklearnClassifier,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
    ) -> None:
        self._classifier = classifier
        self._features, self._labels = classifier.features(images), labels

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """See Trainer."""
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

    def finish(self) -> None:
        """See Trainer; there is nothing to average."""

    def state(self) -> bytes:
        """See Trainer."""
        return io.dumps_state(self._classifier.estimator)

    def restore(self, state: bytes) -> None:
        """See Trainer.

        Raises:
            ValueError: it is the state of another model.
            Untrusted: it is a pickle that was not made here.
        """
        kept = io.loads_state(state)
        if type(kept) is not type(self._classifier.estimator):
            raise ValueError(f"it holds {type(kept).__name__}")
        self._classifier.estimator = kept


class PartialFitTrainer(SklearnTrainer):
    """scikit-learn's MLPClassifier, one pass at a time by partial_fit."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: SklearnClassifier,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
    ) -> None:
        super().__init__(recipe, classifier, images, labels)
        self.epochs = recipe.epochs
        self._recipe = recipe
        self._classes = np.unique(labels)
        self._alpha = classifier.estimator.alpha / recipe.batch_size
        classifier.estimator.set_params(learning_rate_init=recipe.learning_rate)

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """See Trainer."""
        estimator = self._classifier.estimator
        size = min(self._batch_size(epoch), len(self._labels))
        # It divides alpha by the batch size: the same λ with every size.
        estimator.set_params(batch_size=size, alpha=self._alpha * size)
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
