"""A recipe and training rows → the learner that fits the model's kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.models.backend import reset_session
from kaggle_digits.models.base import KerasClassifier, SklearnClassifier
from kaggle_digits.models.normalization import fit_normalizer
from kaggle_digits.models.registry import SKLEARN_MODELS, build
from kaggle_digits.training.augmentation import augment_layer
from kaggle_digits.training.keras_trainer import KerasLearner
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.sklearn_trainer import EpochwiseScikitLearner, ScikitLearner
from kaggle_digits.training.trainer import Learner


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
    normalizer = fit_normalizer(recipe.normalize, images)
    if recipe.model not in SKLEARN_MODELS:  # those need no TensorFlow
        reset_session(seed)
    model = build(recipe.model, recipe.options, rows=len(images), batch_size=recipe.batch_size)
    if hasattr(model, "predict_proba"):
        fitted = SklearnClassifier(model, normalizer)
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        epochwise = hasattr(model, "partial_fit") and hasattr(model, "hidden_layer_sizes")
        kind = EpochwiseScikitLearner if epochwise else ScikitLearner
        return kind(recipe, fitted, images, labels)
    augment = augment_layer(recipe.augment, seed) if recipe.augment else None
    classifier = KerasClassifier.wrap(model, normalizer, augment)
    return KerasLearner(recipe, classifier, images, labels, seed)
