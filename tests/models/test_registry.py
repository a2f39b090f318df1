"""All registered models and the user's own have the same interface."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.models.architectures import dense
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import (
    Classifier,
    KerasClassifier,
    SklearnClassifier,
    fit_normalizer,
    load_classifier,
)
from kaggle_digits.models.registry import (
    BUILDERS,
    build,
    find_builder,
    register_function,
    used_settings,
)
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES

IMAGES = np.pad(load_digits().images[:80] * 15, ((0, 0), (10, 10), (10, 10))).astype(np.uint8)
LABELS = load_digits().target[:80]


def classifier(model: str, **options: object) -> Classifier:
    """An untrained Keras model, or a scikit-learn model fitted to 80 digits."""
    keras().utils.set_random_seed(0)
    normalizer = fit_normalizer("unit", IMAGES)
    built = build(model, options, rows=len(IMAGES), batch_size=10)
    if not hasattr(built, "predict_proba"):
        return KerasClassifier.wrap(built, normalizer)
    wrapped = SklearnClassifier(built, normalizer)
    built.fit(wrapped.features(IMAGES), LABELS)
    return wrapped


@pytest.mark.parametrize("model", BUILDERS)
def test_every_model_predicts_saves_and_loads(model: str, tmp_path: Path) -> None:
    network = classifier(model)
    probabilities = network.predict_proba(IMAGES)
    assert probabilities.shape == (80, 10)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert network.predict_proba(IMAGES[:0]).shape == (0, 10)
    network.save(tmp_path)
    assert np.array_equal(load_classifier(tmp_path).predict_proba(IMAGES), probabilities)
    first = network.first_layer_weights()
    assert first is not None
    assert first.shape[1:] in {(28, 28), (5, 5), (3, 3)}, "dense weights or convolution kernels"


def test_widths_dropout_and_l2_are_applied() -> None:
    network = build(
        "dense", {"widths": (7, 6, 5), "dropout": 0.5, "l2": 0.01}, rows=10, batch_size=10
    )
    dense = [layer for layer in network.layers if layer.name.startswith("dense")]
    assert [layer.units for layer in dense] == [7, 6, 5, 10]
    assert dense[0].kernel_regularizer.l2 == pytest.approx(0.01)
    assert [layer.rate for layer in network.layers if hasattr(layer, "rate")] == [0.5] * 3
    assert build("mlp", {"widths": (7, 6)}, rows=10, batch_size=10).hidden_layer_sizes == (7, 6)
    # scikit-learn adds ½ alpha ∑ w² / batch size to the mean log loss.
    assert build("mlp", {"l2": 0.01}, rows=99, batch_size=10).alpha == pytest.approx(0.2)
    assert pytest.approx(5) == build("linear", {"l2": 0.01}, rows=10, batch_size=10).C


def test_unknown_option_is_refused() -> None:
    with pytest.raises(UsageError, match="model linear has no option `widths`; it has `l2`"):
        build("linear", {"widths": (3,)}, rows=10, batch_size=10)


def test_unknown_model_is_refused_with_the_known_names() -> None:
    with pytest.raises(UsageError, match="no model called 'resnet'; one of: linear, softmax"):
        find_builder("resnet")


@pytest.mark.parametrize("model", ["strong-upright", "strong-evened", "strong-5x5"])
def test_removed_model_is_refused_with_its_replacement(model: str) -> None:
    with pytest.raises(UsageError, match=f"^model {model} was removed in 0.2; use strong$"):
        build(model, {}, rows=10, batch_size=10)


OWN = """
import keras
from sklearn.naive_bayes import GaussianNB

def softmax_inside():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])

def bayes():
    return GaussianNB(var_smoothing=0.1)

def wrong_shape():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(9)])

def nothing():
    return None

def fails():
    raise RuntimeError("no such weights")

number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own")
def test_users_own_models() -> None:
    model = classifier("own_models:softmax_inside")
    assert np.allclose(model.predict_proba(IMAGES).sum(axis=1), 1, atol=1e-5)
    body = build("own_models:softmax_inside", {}, rows=80, batch_size=10)
    wrapped = KerasClassifier.wrap(body, fit_normalizer("unit", IMAGES))
    direct = body(fit_normalizer("unit", IMAGES)(IMAGES)[..., None])
    assert np.allclose(wrapped.predict_proba(IMAGES), direct, atol=1e-5)
    assert (classifier("own_models:bayes").predict_proba(IMAGES).argmax(1) == LABELS).mean() > 0.8


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("own_models:nothing", "returned NoneType"),
        (
            "own_models:fails",
            r"built: RuntimeError: no such weights \(own_models.py, line",
        ),
        ("own_models:number", "number is not a function"),
        ("own_models:absent", "own_models has no function absent"),
        ("absent_module:build", "cannot import absent_module"),
        ("own_models:wrong_shape", "gives .* instead of 10"),
    ],
)
def test_fault_in_a_users_own_model_is_reported(model: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        classifier(model)


def test_missing_or_damaged_model_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in"):
        load_classifier(tmp_path)
    for name in ("model.skops", "model.keras"):
        (tmp_path / name).write_bytes(b"not a model")
        with pytest.raises(ModelError, match=f"{name} cannot be read"):
            load_classifier(tmp_path)


def test_a_partial_function_has_the_name_of_its_function() -> None:
    builder = partial(dense, widths=(8,))
    name = register_function(builder)
    assert name == "kaggle_digits.models.architectures:partial(dense)"
    assert find_builder(name) is builder


def test_used_settings_have_the_defaults_of_the_model_and_nothing_it_ignores() -> None:
    used = used_settings(MODEL_RECIPES["linear"].to_json())
    assert not {"optimizer", "weight_decay", "augment"} & set(used)
    recipe = Recipe("dense", dropout=0.5).to_json()
    assert used_settings(recipe) == recipe | {"widths": (128, 128), "l2": 0.0}
    assert used_settings({"model": "mine:small", "widths": None}) == {
        "model": "mine:small",
        "widths": None,
    }
