"""Augmentation moves training images, and only those."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.data.folder import Dataset
from kaggle_digits.errors import UsageError
from kaggle_digits.models.engine import keras
from kaggle_digits.training.augment import Augmentation, augment_layer

NOTHING = {"rotation": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.0}


def moved(images: NDArray[np.uint8], how: Augmentation, seed: int = 0) -> NDArray[np.float32]:
    values = images[..., None].astype(np.float32)
    found = augment_layer(how, seed)(values, training=True)
    return np.asarray(keras().ops.convert_to_numpy(found))[..., 0]


def centre_of_mass(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 2): row and column."""
    places = np.indices(images.shape[1:])
    weights = images / images.sum(axis=(1, 2), keepdims=True)
    return np.asarray(np.einsum("nij,kij->nk", weights, places))


def test_no_amount_moves_nothing(dataset: Dataset) -> None:
    images = dataset.train.images[:20]
    assert np.allclose(moved(images, Augmentation(**NOTHING)), images, atol=1e-3)


def test_outside_training_nothing_is_moved(dataset: Dataset) -> None:
    values = dataset.train.images[:20, ..., None].astype(np.float32)
    assert np.array_equal(augment_layer(Augmentation(), 0)(values, training=False), values)


def test_shift_stays_within_its_pixels(dataset: Dataset) -> None:
    images = dataset.train.images[:200]
    how = Augmentation(**{**NOTHING, "shift": 2.0})
    steps = centre_of_mass(moved(images, how)) - centre_of_mass(images.astype(np.float32))
    assert np.abs(steps).max() < 2.05
    assert (np.abs(steps).max(axis=0) > 1.5).all(), "both ways, nearly as far as allowed"
    assert np.abs(steps.mean(axis=0)).max() < 0.25, "no preferred side"


def test_rotation_turns_about_the_centre() -> None:
    bar = np.zeros((300, 28, 28), np.uint8)
    bar[:, 4:24, 13:15] = 255
    turned = moved(bar, Augmentation(**{**NOTHING, "rotation": 30.0}))
    assert np.allclose(centre_of_mass(turned), 13.5, atol=0.1)
    rows, columns = np.indices((28, 28)) - 13.5
    mass = turned.sum(axis=(1, 2))
    tilt = np.arctan2(
        2 * (turned * rows * columns).sum(axis=(1, 2)) / mass,
        (turned * (rows**2 - columns**2)).sum(axis=(1, 2)) / mass,
    )
    degrees = np.degrees(tilt) / 2
    assert 25 < np.abs(degrees).max() < 31
    assert degrees.min() < -20 < 20 < degrees.max()


def test_zoom_and_shear_change_sizes() -> None:
    square = np.zeros((200, 28, 28), np.uint8)
    square[:, 9:19, 9:19] = 255
    sizes = moved(square, Augmentation(**{**NOTHING, "zoom": 0.2})).sum(axis=(1, 2)) / 25500
    assert 0.65 < sizes.min() < 0.8
    assert 1.2 < sizes.max() < 1.6
    sheared = moved(square, Augmentation(**{**NOTHING, "shear": 0.3}))
    assert np.allclose(sheared.sum(axis=(1, 2)), 25500, rtol=0.02)
    assert not np.allclose(sheared, square, atol=50)


def test_the_seed_decides_and_each_call_draws_anew(dataset: Dataset) -> None:
    images = dataset.train.images[:5]
    assert np.array_equal(moved(images, Augmentation(), 1), moved(images, Augmentation(), 1))
    assert not np.array_equal(moved(images, Augmentation(), 1), moved(images, Augmentation(), 2))
    layer = augment_layer(Augmentation(), 1)
    values = images[..., None].astype(np.float32)
    one, other = layer(values, training=True), layer(values, training=True)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("wrong", [{"rotation": 180.0}, {"zoom": -0.1}, {"shift": 14.0}])
def test_amounts_that_leave_no_digit_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="augmentation: "):
        Augmentation(**wrong)
