"""Normalization in numpy (for scikit-learn) and in Keras layers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import NORMALIZATIONS, fit_normalizer

IMAGES = np.pad(load_digits().images[:50] * 15, ((0, 0), (10, 10), (10, 10))).astype(np.uint8)


def test_each_kind_has_its_property() -> None:
    unit = fit_normalizer("unit", IMAGES)(IMAGES)
    assert unit.dtype == np.float32
    assert unit.max() == pytest.approx(IMAGES.max() / 255)
    lengths = np.sqrt(np.square(fit_normalizer("l2", IMAGES)(IMAGES)).sum(axis=(1, 2)))
    assert lengths == pytest.approx(np.ones(50), rel=1e-5)
    standard = fit_normalizer("standard", IMAGES)(IMAGES)
    assert standard.mean() == pytest.approx(0, abs=1e-5)
    assert standard.std() == pytest.approx(1, rel=1e-5)


def test_l2_equals_keras_normalize() -> None:
    expected = keras().utils.normalize(IMAGES.reshape(50, 784).astype(np.float32), axis=1)
    assert np.allclose(fit_normalizer("l2", IMAGES)(IMAGES).reshape(50, 784), expected, atol=1e-6)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_keras_layers_equal_numpy(kind: str) -> None:
    images = np.concatenate([IMAGES, np.zeros((1, 28, 28), np.uint8)])  # and a blank one
    normalizer = fit_normalizer(kind, IMAGES)
    values = images
    for layer in normalizer.layers(keras()):
        values = layer(values)
    found = keras().ops.convert_to_numpy(values)
    assert found.shape == (51, 28, 28, 1)
    assert np.allclose(found[..., 0], normalizer(images), atol=1e-5)


def test_normalizer_does_not_depend_on_the_images_it_is_applied_to() -> None:
    normalizer = fit_normalizer("standard", IMAGES)
    other = np.full((3, 28, 28), 255, np.uint8)
    assert normalizer(other).mean() != pytest.approx(0)
    assert np.array_equal(normalizer(IMAGES[:1]), normalizer(IMAGES)[:1])


def test_blank_training_set_gives_finite_values() -> None:
    blank = np.zeros((3, 28, 28), np.uint8)
    for kind in NORMALIZATIONS:
        assert np.isfinite(fit_normalizer(kind, blank)(blank)).all()


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="one of: unit, l2, standard"):
        fit_normalizer("minmax", IMAGES)
