"""Normalization in numpy and in Keras layers; batched prediction equals Keras' predict."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.models import backend
from kaggle_digits.models.backend import CPU_BATCH_SIZE as BATCH
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import (
    NORMALIZATIONS,
    KerasClassifier,
    SklearnClassifier,
    fit_normalizer,
    load_classifier,
)
from kaggle_digits.models.registry import build
from kaggle_digits.models.tta import predict_tta

# Two full batches and a partial one.
IMAGES = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 7, 28, 28)).astype(np.uint8)
DIGITS = np.pad(load_digits().images[:50] * 15, ((0, 0), (10, 10), (10, 10))).astype(np.uint8)


def network(model: str, **options: object) -> Any:
    """An untrained network with random batch normalization."""
    keras().utils.set_random_seed(0)
    made = KerasClassifier.wrap(
        build(model, options, rows=10, batch_size=10), fit_normalizer("standard", IMAGES)
    ).network
    randomize_statistics(made)
    return made


def randomize_statistics(made: Any, seed: int = 0) -> None:
    """Assign random scales (some negative), offsets and statistics."""
    rng = np.random.default_rng(seed)
    for variable in made.variables:
        name = variable.path.rpartition("/")[2]
        if name == "moving_variance":
            variable.assign(rng.uniform(0.3, 3, variable.shape))
        elif name in ("gamma", "beta", "moving_mean", "bias"):
            variable.assign(rng.normal(0.5, 0.5, variable.shape))


@pytest.mark.parametrize("model", ["dense", "fast", "keras-convnet"])
def test_predictions_equal_keras_predict_in_every_call(model: str) -> None:
    made = network(model)
    predict = KerasClassifier(made).predict_proba
    predictions = predict(IMAGES)
    assert predictions.dtype == np.float32
    assert np.abs(predictions - made.predict(IMAGES, verbose=0)).max() <= 1e-5
    assert predictions.std(axis=0).max() > 0.01, "constant predictions would prove nothing"
    assert np.array_equal(predict(IMAGES), predictions)
    assert np.array_equal(KerasClassifier(made).predict_proba(IMAGES), predictions)
    assert predict(IMAGES[:0]).shape == (0, 10)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_parallel_batches_keep_their_order(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads)
    monkeypatch.setattr(backend, "usable_cores", lambda: 2)
    workers = backend.predict_workers()
    assert workers == (2 if threads == "2" and backend_name() == "tensorflow" else 1)
    predict = KerasClassifier(network("fast")).predict_proba
    predictions = predict(IMAGES)
    for start in range(0, len(IMAGES), BATCH):
        expected = predict(IMAGES[start : start + BATCH])
        assert np.array_equal(predictions[start : start + BATCH], expected)


def test_predictions_follow_the_weights() -> None:
    made = network("fast")
    predict = KerasClassifier(made).predict_proba
    before = predict(IMAGES)
    randomize_statistics(made, seed=1)
    after = predict(IMAGES)
    assert np.abs(after - before).max() > 0.01
    assert np.abs(after - made.predict(IMAGES, verbose=0)).max() <= 1e-5


@pytest.fixture
def eager() -> Iterator[None]:
    """Run TensorFlow eagerly, as users do to debug a layer."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager")
def test_layer_that_cannot_be_traced_is_run_by_keras_predict() -> None:
    k = keras()

    class Counted(keras().layers.Layer):  # type: ignore[misc]
        """A numpy layer: the mean of each tenth of the image."""

        def call(self, images: Any) -> Any:
            ink: NDArray[Any] = images.numpy().reshape(len(images), -1)[:, :780]
            return k.ops.convert_to_tensor(ink.reshape(len(ink), 10, -1).mean(axis=2))

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 10)

        def compute_output_spec(self, images: Any) -> Any:
            return k.KerasTensor((images.shape[0], 10), "float32")

    body = k.Sequential([Counted()])
    found = KerasClassifier.wrap(body, fit_normalizer("unit", IMAGES)).predict_proba(IMAGES[:20])
    ink = IMAGES[:20].reshape(20, -1)[:, :780].reshape(20, 10, -1).mean(axis=2) / 255
    expected = np.exp(ink) / np.exp(ink).sum(axis=1, keepdims=True)
    assert np.allclose(found, expected, atol=1e-5)


def test_each_kind_has_its_property() -> None:
    unit = fit_normalizer("unit", DIGITS)(DIGITS)
    assert unit.dtype == np.float32
    assert unit.max() == pytest.approx(DIGITS.max() / 255)
    lengths = np.sqrt(np.square(fit_normalizer("l2", DIGITS)(DIGITS)).sum(axis=(1, 2)))
    assert lengths == pytest.approx(np.ones(50), rel=1e-5)
    standard = fit_normalizer("standard", DIGITS)(DIGITS)
    assert standard.mean() == pytest.approx(0, abs=1e-5)
    assert standard.std() == pytest.approx(1, rel=1e-5)


def test_l2_equals_keras_normalize() -> None:
    expected = keras().utils.normalize(DIGITS.reshape(50, 784).astype(np.float32), axis=1)
    assert np.allclose(fit_normalizer("l2", DIGITS)(DIGITS).reshape(50, 784), expected, atol=1e-6)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_keras_layers_equal_numpy(kind: str) -> None:
    images = np.concatenate([DIGITS, np.zeros((1, 28, 28), np.uint8)])  # and a blank one
    normalizer = fit_normalizer(kind, DIGITS)
    values = images
    for layer in normalizer.layers(keras()):
        values = layer(values)
    found = keras().ops.convert_to_numpy(values)
    assert found.shape == (51, 28, 28, 1)
    assert np.allclose(found[..., 0], normalizer(images), atol=1e-5)


def test_normalizer_does_not_depend_on_the_images_it_is_applied_to() -> None:
    normalizer = fit_normalizer("standard", DIGITS)
    other = np.full((3, 28, 28), 255, np.uint8)
    assert normalizer(other).mean() != pytest.approx(0)
    assert np.array_equal(normalizer(DIGITS[:1]), normalizer(DIGITS)[:1])


def test_blank_training_set_gives_finite_values() -> None:
    blank = np.zeros((3, 28, 28), np.uint8)
    for kind in NORMALIZATIONS:
        assert np.isfinite(fit_normalizer(kind, blank)(blank)).all()


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="one of: unit, l2, standard"):
        fit_normalizer("minmax", DIGITS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 2.0])
def test_predictions_that_are_no_probabilities_are_an_error(value: float) -> None:
    class Broken:
        classes_ = np.arange(10)

        def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
            probabilities = np.full((len(features), 10), 0.1)
            probabilities[1, 0] = value
            return probabilities

    model = SklearnClassifier(Broken(), fit_normalizer("unit", IMAGES))
    assert model.predict_proba(IMAGES[:0]).shape == (0, 10)
    with pytest.raises(ModelError, match="1 of 3 rows, the first is row 1"):
        model.predict_proba(IMAGES[:3])
    with pytest.raises(ModelError, match="predictions are unusable"):
        predict_tta(model, IMAGES[:3], 5, None)


@pytest.mark.skipif(os.name != "posix", reason="pipes are files on POSIX only")
def test_pipe_instead_of_a_model_is_an_error_at_once(tmp_path: Path) -> None:
    for name in ("model.joblib", "model.skops", "model.keras"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ModelError, match=f"{name} cannot be read .it is a folder, pipe"):
            load_classifier(tmp_path)
