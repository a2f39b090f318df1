"""Train scikit-learn classifiers."""

import math
import warnings

import numpy as np

from kaggle_digits.data.digits import Images, Labels
from kaggle_digits.models import io
from kaggle_digits.models.base import SklearnClassifier
from kaggle_digits.training.callbacks import OnStep
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.schedules import batch_size_factor


class SklearnTrainer:
    """A classifier whose ``fit`` is called once, as one epoch; it has KerasTrainer's methods."""

    epochs = steps = 1

    def __init__(
        self, recipe: Recipe, classifier: SklearnClassifier, images: Images, labels: Labels
    ) -> None:
        self._recipe, self.classifier = recipe, classifier
        # skl2onnx cannot convert some estimators that were fitted to uint8.
        self._features, self._labels = classifier.features(images), labels.astype(np.int64)

    def train_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float, float]:
        """Train on every row and return (loss, accuracy, learning rate or NaN)."""
        from sklearn.metrics import log_loss

        rate = self._fit(epoch)
        estimator = self.classifier.estimator
        probabilities = estimator.predict_proba(self._features)
        predicted = estimator.classes_[probabilities.argmax(axis=1)]
        loss = float(log_loss(self._labels, probabilities, labels=estimator.classes_))
        accuracy = float((predicted == self._labels).mean())
        on_step(1, loss, accuracy)
        return loss, accuracy, rate

    def _fit(self, epoch: int) -> float:
        with warnings.catch_warnings():
            # Stopping at max_iter is intended; the validation accuracy shows the effect.
            warnings.filterwarnings("ignore", message=".*converge.*")
            self.classifier.estimator.fit(self._features, self._labels)
        return math.nan

    def finish(self) -> None:
        """Do nothing: there are no averaged weights."""

    def skip_to(self, epoch: int) -> None:
        """Do nothing: the epoch's number alone decides how it is trained."""

    def state(self) -> bytes:
        """Return the estimator as bytes."""
        return io.dumps_state(self.classifier.estimator)

    def restore(self, state: bytes) -> None:
        """Go back to the estimator of ``state``; raise ValueError if it is of another model.

        UntrustedError is raised if it is a pickle of another process.
        """
        estimator = io.loads_state(state)
        if type(estimator) is not type(self.classifier.estimator):
            raise ValueError(f"it holds {type(estimator).__name__}")
        self.classifier.estimator = estimator


class PartialFitTrainer(SklearnTrainer):
    """MLPClassifier, whose ``partial_fit`` is called once per epoch."""

    def __init__(
        self, recipe: Recipe, classifier: SklearnClassifier, images: Images, labels: Labels
    ) -> None:
        super().__init__(recipe, classifier, images, labels)
        self.epochs = recipe.epochs
        self._classes = np.unique(self._labels)
        self._alpha = classifier.estimator.alpha / recipe.batch_size
        classifier.estimator.set_params(learning_rate_init=recipe.learning_rate)

    def _fit(self, epoch: int) -> float:
        estimator = self.classifier.estimator
        factor = batch_size_factor(self._recipe.schedule, epoch / self.epochs)
        size = min(self._recipe.batch_size * factor, len(self._labels))
        # scikit-learn divides alpha by the batch size; this keeps λ the same for every size.
        estimator.set_params(batch_size=size, alpha=self._alpha * size)
        with warnings.catch_warnings():
            # scikit-learn catches Ctrl-C, warns, and would continue with the next epoch.
            warnings.filterwarnings("error", message="Training interrupted by user")
            try:
                estimator.partial_fit(self._features, self._labels, classes=self._classes)
            except UserWarning:
                raise KeyboardInterrupt from None
        return float(estimator.learning_rate_init)
