"""A recipe as a scikit-learn classifier, for ``cross_val_score``, ``Pipeline`` and the like."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

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
        """Train on the images ``X``, (n, 784) or (n, 28, 28), and their labels ``y``, (n,).

        ValueError: a pixel is not 0, 1, …, 255, or there are more than ten different labels.
        """
        pixels, y = validate_data(self, _flat(X), y)
        check_non_negative(pixels, type(self).__name__)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if not 1 < len(self.classes_) <= CLASSES:
            raise ValueError(f"{len(self.classes_)} class(es) of labels; 2 to {CLASSES} are needed")
        images, labels = self._images(pixels), codes.astype(np.uint8)
        seed = self.random_state
        if not isinstance(seed, int):
            seed = check_random_state(seed).randint(2**31)
        self.recipes_ = as_recipe(self.recipe).with_changes(epochs=self.epochs).recipes
        self.models_ = []
        for member, recipe in enumerate(self.recipes_):
            trainer = make_trainer(recipe, images, labels, member_seed(seed, member))
            for epoch in range(trainer.epochs):
                trainer.train_epoch(epoch, lambda *_: None)
            trainer.finish()
            self.models_.append(trainer.classifier)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the probabilities (n, classes) of the images ``X``, in the order of classes_."""
        check_is_fitted(self)
        images = self._images(validate_data(self, _flat(X), reset=False))
        total = np.zeros((len(images), CLASSES), np.float32)
        for model, recipe in zip(self.models_, self.recipes_, strict=True):
            total += predict_tta(model, images, recipe.views, recipe.affine_range)[recipe.views]
        total = total[:, : len(self.classes_)]
        total /= total.sum(axis=1, keepdims=True)
        return total

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image of ``X``, (n,)."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _images(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        try:
            return to_images(pixels, "the pixels")
        except DataError as error:  # scikit-learn expects ValueError
            raise ValueError(str(error)) from error


def _flat(X: Any) -> Any:  # noqa: N803
    """Return images (n, 28, 28) as (n, 784), and anything else as it is."""
    return X.reshape(len(X), -1) if isinstance(X, np.ndarray) and X.ndim == 3 else X
