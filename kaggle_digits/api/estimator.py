"""A recipe as a scikit-learn classifier, for ``cross_val_score``, ``Pipeline`` and the like."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.digits import CLASSES, to_images
from kaggle_digits.models.tta import predict_tta
from kaggle_digits.training.fold import make_trainer, member_seed
from kaggle_digits.training.recipes import RecipeLike, as_recipe


class DigitClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of images, (n, 784) pixels from 0 background to 255 ink, trained by a recipe.

    It writes no files. The models of an ensemble recipe have equal weights.

    Parameters:
        recipe: as in ``kaggle_digits.train``: a name, a ``Recipe``, or a function that returns a
            model.
        epochs: passes over the training rows; None for the recipe's.
        random_state: seed of initial weights, dropout, augmentation and the order of rows.

    Attributes:
        classes_: the labels, sorted: up to ten, of any type.
        models_: the fitted models, one for each recipe of an ensemble, otherwise one.
    """

    def __init__(
        self, recipe: RecipeLike = "dense", *, epochs: int | None = None, random_state: Any = 0
    ) -> None:
        self.recipe, self.epochs, self.random_state = recipe, epochs, random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 (scikit-learn's names)
        """Train on the images ``X`` (n, 784) and their labels ``y`` (n,).

        ValueError: a pixel is not 0, 1, …, 255, or there are more than ten different labels.
        """
        images = self._images(X, reset=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(labels) != len(images):
            raise ValueError(f"{len(images)} images and {len(labels)} labels")
        if not 1 < len(self.classes_) <= CLASSES:
            raise ValueError(f"{len(self.classes_)} class(es) of labels; 2 to {CLASSES} are needed")
        seed = self.random_state
        if not isinstance(seed, int):
            seed = check_random_state(seed).randint(2**31)
        self.recipes_ = as_recipe(self.recipe).with_changes(epochs=self.epochs).recipes
        self.models_ = []
        for member, recipe in enumerate(self.recipes_):
            trainer = make_trainer(
                recipe, images, labels.astype(np.uint8), member_seed(seed, member)
            )
            for epoch in range(trainer.epochs):
                trainer.train_epoch(epoch, lambda *_: None)
            trainer.finish()
            self.models_.append(trainer.classifier)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the (n, classes) probabilities of the images ``X``, in the order of classes_."""
        check_is_fitted(self)
        images = self._images(X, reset=False)
        total = np.zeros((len(images), CLASSES))
        for model, recipe in zip(self.models_, self.recipes_, strict=True):
            views = recipe.views
            total += predict_tta(model, images, views, recipe.affine_range)[views]
        total = total[:, : len(self.classes_)]
        return total / total.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image of ``X``, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _images(self, X: Any, *, reset: bool) -> NDArray[np.uint8]:  # noqa: N803
        pixels = validate_data(self, X, reset=reset)
        try:
            return to_images(pixels, "the pixels")
        except DataError as error:
            raise ValueError(str(error)) from error
