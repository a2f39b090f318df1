"""Try a model of the user's before it is trained: build, train, predict, save and load it.

A fault is found within seconds, and no run is written that could not be read later.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kaggle_digits.core import trust
from kaggle_digits.core.errors import ModelError, one_line
from kaggle_digits.data.digits import Digits, Images
from kaggle_digits.models import base
from kaggle_digits.models.backend import check_installed, keras
from kaggle_digits.models.io import UntrustedError
from kaggle_digits.models.registry import SKLEARN_MODELS, build, explain_user_errors, is_user_code
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.recipe import AnyRecipe, Recipe

ROWS_PER_DIGIT = 20
TOLERANCE = 1e-4  # of a probability after saving and loading
# A model that divides pixels from 0 to 1 by 255 hardly depends on the image: its log odds change
# by less than this between an image and a blank one, and this many times more with pixels to 255.
SMALL_CHANGE, MUCH_MORE = 0.05, 20


def try_models(
    recipe: AnyRecipe,
    train: Digits,
    callback: TrainingCallback | None = None,
    finished: Mapping[int, Path] | None = None,
) -> None:
    """Try each model of the user's in ``recipe`` on some rows of ``train``.

    For the other models it is checked that Keras' backend is installed. ``callback`` is warned
    about a model that seems to scale its input a second time. ``finished`` has the folder of a
    trained member for the number of its recipe, which must have the same layers.

    Raises:
        UsageError: the model has no such option, or the backend is not installed.
        ModelError: it cannot be built, trained, saved or read back, it gives no probabilities, or
            it was changed since a member was trained.
    """
    for number, one in enumerate(recipe.recipes):
        if is_user_code(one.model):
            member = (finished or {}).get(number)
            _try_model(one, train, callback or TrainingCallback(), member)
        elif one.model not in SKLEARN_MODELS:
            check_installed()


def _try_model(
    recipe: Recipe, train: Digits, callback: TrainingCallback, member: Path | None
) -> None:
    assert train.labels is not None
    of_digit = [np.flatnonzero(train.labels == digit)[:ROWS_PER_DIGIT] for digit in range(10)]
    rows = np.sort(np.concatenate(of_digit))
    images, labels = train.images[rows], train.labels[rows]
    name = f"model {recipe.model}"
    with explain_user_errors(f"{name} cannot be trained"):
        trainer = make_trainer(recipe, images, labels, seed=0)
    classifier = trainer.classifier
    with suppress(UntrustedError):
        if member and _shapes(base.load_classifier(member)) != _shapes(classifier):
            raise ModelError(
                f"{name} was changed since member {int(member.name) + 1} was trained; undo that, "
                "or train another run"
            )
    other = build(recipe.model, recipe.model_options, rows=len(rows), batch_size=recipe.batch_size)
    if _shares_weights(classifier, other):
        raise ModelError(
            f"{name} is not new in each call: build its layers inside the function, because "
            "folds that share weights would learn each other's validation rows"
        )
    if isinstance(classifier, base.KerasClassifier) and recipe.normalize != "none":
        with explain_user_errors(f"{name} cannot be called"):
            if _scales_pixels(classifier, other, images):
                callback.on_warning(
                    f"{name} seems to scale the pixels itself, but gets scaled ones "
                    f"({recipe.normalize}); for 0 to 255: `normalize='none'`"
                )
    with explain_user_errors(f"{name} cannot be trained"):
        trainer.train_epoch(0, lambda *_: None)
    with explain_user_errors(f"{name} cannot predict"):
        probabilities = classifier.predict_proba(images)
    with TemporaryDirectory() as folder:
        with explain_user_errors(f"{name} cannot be saved"):
            path = classifier.save(Path(folder))
        if path.name != base.KERAS_FILE and not trust.is_enabled():
            return  # a pickle, which training may write and only --trust reads
        try:
            loaded = base.load_classifier(Path(folder)).predict_proba(images)
        except UntrustedError as error:
            code = str(error).partition(" needs ")[2].partition(",")[0]
            raise ModelError(
                f"{name} could not be read back without running code ({code}): use layers and "
                "operations of Keras, such as keras.layers.Rescaling and keras.ops, or add "
                f"{trust.CONSENT}, here and wherever the run is read"
            ) from error
        except ModelError as error:
            cause = error.__cause__ or error
            raise ModelError(f"{name} cannot be read back once saved: {one_line(cause)}") from cause
    if not np.allclose(loaded, probabilities, rtol=0, atol=TOLERANCE):
        raise ModelError(
            f"{name} predicts otherwise after it was saved and read back; use layers of Keras, or "
            "give yours get_config() and let them create their weights in build()"
        )


def _shapes(classifier: base.Classifier) -> Any:
    """Return the shapes of a network's weights, or the class of an estimator."""
    if isinstance(classifier, base.KerasClassifier):
        return [tuple(weight.shape) for weight in classifier.network.weights]
    return type(classifier.estimator).__name__


def _shares_weights(classifier: base.Classifier, other: Any) -> bool:
    """Return whether ``other``, built by a second call, is or shares weights with the first."""
    if not isinstance(classifier, base.KerasClassifier):
        return classifier.estimator is other
    first = {id(variable) for variable in classifier.network.variables}
    return any(id(variable) in first for variable in other.variables)


def _scales_pixels(classifier: base.KerasClassifier, other: Any, images: Images) -> bool:
    """Return whether a model divides its input by about 255; ``other`` is a second, bare one."""
    for layer in base.flat_layers(other):
        if type(layer).__name__ == "Rescaling" and np.abs(layer.scale).max() < SMALL_CHANGE:
            return True
    unscaled = base.KerasClassifier.wrap(other, base.Normalizer("none", 1.0), probe=images)
    change, large_change = (_log_odds_change(each, images) for each in (classifier, unscaled))
    return change < SMALL_CHANGE and large_change > MUCH_MORE * change


def _log_odds_change(classifier: base.KerasClassifier, images: Images) -> float:
    """Return the largest difference of a centred logit between ``images`` and a blank one."""
    inputs = np.concatenate([np.zeros_like(images[:1]), images])
    logits = keras().ops.convert_to_numpy(classifier.logits(inputs, training=False))
    centred = logits - logits.mean(axis=1, keepdims=True)
    return float(np.abs(centred[1:] - centred[0]).max())
