"""Augmentation transforms training images, and only those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.digits import CENTRE, SIDE
from kaggle_digits.models.backend import keras
from kaggle_digits.training import augmentation
from kaggle_digits.training.augmentation import (
    Augmentation,
    add_upstrokes,
    augment_images,
    augmentation_layer,
    spline_basis,
)
from kaggle_digits.training.recipe import Recipe, recipe_from_json

NOTHING: dict[str, Any] = {"rotation": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.0}


def moved(
    images: NDArray[np.uint8], augmentation: Augmentation, seed: int = 0
) -> NDArray[np.float32]:
    values = images[..., None].astype(np.float32)
    found = augmentation_layer(augmentation, seed)(values, training=True)
    return np.asarray(keras().ops.convert_to_numpy(found))[..., 0]


def centre_of_mass(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 2): row and column."""
    places = np.indices(images.shape[1:])
    weights = images / images.sum(axis=(1, 2), keepdims=True)
    return np.asarray(np.einsum("nij,kij->nk", weights, places))


def fields(augmentation: Augmentation, count: int) -> NDArray[np.float64]:
    """(count, 2, 28, 28): displacements in pixels, measured on images whose values are positions.

    Bilinear interpolation of a linear ramp is exact; 40 grey values per pixel make rounding errors
    small. NaN within four pixels of the edge, where background is read.
    """
    found = []
    for place in np.indices((28, 28)):
        values = np.tile((40.0 * (place + 1))[None, ..., None], (count, 1, 1, 1))
        layer = augmentation_layer(augmentation, 0)
        read = layer(values.astype(np.float32), training=True)
        found.append(np.asarray(keras().ops.convert_to_numpy(read))[..., 0] / 40 - 1 - place)
    field = np.stack(found, axis=1).astype(np.float64)
    inner = np.full((28, 28), np.nan)
    inner[4:-4, 4:-4] = 0
    return np.asarray(field + inner)


def test_zero_ranges_change_nothing(dataset: Dataset) -> None:
    images = dataset.train.images[:20]
    assert np.allclose(moved(images, Augmentation(**NOTHING)), images, atol=1e-3)


def test_images_are_unchanged_outside_training(dataset: Dataset) -> None:
    values = dataset.train.images[:20, ..., None].astype(np.float32)
    assert np.array_equal(augmentation_layer(Augmentation(), 0)(values, training=False), values)


def test_shift_stays_within_its_range(dataset: Dataset) -> None:
    images = dataset.train.images[:200]
    augmentation = Augmentation(**{**NOTHING, "shift": 2.0})
    steps = centre_of_mass(moved(images, augmentation)) - centre_of_mass(images.astype(np.float32))
    assert np.abs(steps).max() < 2.05
    assert (np.abs(steps).max(axis=0) > 1.5).all(), "both directions, nearly up to the limit"
    assert np.abs(steps.mean(axis=0)).max() < 0.25, "no preferred direction"


def test_rotation_is_about_the_centre() -> None:
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


def test_same_seed_repeats_and_each_call_differs(dataset: Dataset) -> None:
    images = dataset.train.images[:5]
    assert np.array_equal(moved(images, Augmentation(), 1), moved(images, Augmentation(), 1))
    assert not np.array_equal(moved(images, Augmentation(), 1), moved(images, Augmentation(), 2))
    layer = augmentation_layer(Augmentation(), 1)
    values = images[..., None].astype(np.float32)
    one, other = layer(values, training=True), layer(values, training=True)
    assert not np.array_equal(one, other)


def test_draws_without_elastic_are_those_of_version_0_1() -> None:
    square = np.zeros((3, 28, 28, 1), np.float32)
    square[:, 10:18, 8:20] = 255
    layer = augmentation_layer(Augmentation(), 7)
    places = [centre_of_mass(np.asarray(layer(square, training=True))[..., 0]) for _ in range(2)]
    # Recorded before elastic distortion existed: runs of that time can still be resumed.
    first = [[15.182, 12.995], [15.355, 12.133], [12.211, 14.098]]
    second = [[12.423, 14.059], [12.359, 12.089], [15.462, 11.619]]
    assert np.allclose(places, [first, second], atol=2e-3)


def test_elastic_displacements_have_the_given_size_and_are_smooth() -> None:
    field = fields(Augmentation(**NOTHING, elastic=1.0), 400)
    # One of five points per side is in the middle, between pixels 13 and 14.
    middle = field[:, :, 13:15, 13:15].mean(axis=(2, 3))
    assert np.allclose(middle.std(axis=0), 1, atol=0.1)
    assert np.allclose(middle.mean(axis=0), 0, atol=0.15)
    assert abs(np.corrcoef(middle.T)[0, 1]) < 0.15, "down and right are independent"
    inner = field[:, :, 4:-4, 4:-4]
    bends = np.abs(np.diff(inner, n=2, axis=3))
    assert np.abs(inner).max() > 2, "some displacements are large"
    assert np.sqrt((bends**2).mean()) < 0.1, "but smooth"
    finer = fields(Augmentation(**NOTHING, elastic=0.5, elastic_grid=9), 100)[..., 4:-4, 4:-4]
    assert np.sqrt((np.diff(finer, n=2, axis=3) ** 2).mean()) > np.sqrt((bends**2).mean())


def test_spline_passes_through_the_control_points() -> None:
    basis = spline_basis(4)  # control points on pixels 0, 9, 18 and 27
    assert basis.shape == (16, 784)
    assert np.allclose(basis.sum(axis=0), 1, atol=1e-5)
    drawn = np.random.default_rng(0).normal(size=(4, 4))
    field = (drawn.ravel() @ basis).reshape(28, 28)
    assert np.allclose(field[::9, ::9], drawn, atol=1e-5)


def test_our_sampling_agrees_with_tensorflow(dataset: Dataset) -> None:
    images = dataset.train.images[:50]
    ours = moved(images, Augmentation(elastic=1e-6), 3)
    assert np.allclose(ours, moved(images, Augmentation(), 3), atol=0.05)


def test_background_enters_at_the_edges() -> None:
    full = np.full((50, 28, 28), 255, np.uint8)
    found = moved(full, Augmentation(**{**NOTHING, "shift": 13.0}, elastic=1e-6))
    assert found.min() == 0
    assert found.max() <= 255.01
    assert (found[:, 13, 13] > 254.9).all()


def test_elastic_repeats_by_seed_and_differs_between_images_and_calls() -> None:
    image = np.zeros((2, 28, 28), np.uint8)
    image[:, 6:22, 10:18] = 200
    augmentation = Augmentation(**NOTHING, elastic=1.0)
    assert np.array_equal(moved(image, augmentation, 1), moved(image, augmentation, 1))
    assert not np.array_equal(moved(image, augmentation, 1), moved(image, augmentation, 2))
    layer = augmentation_layer(augmentation, 1)
    values = image[..., None].astype(np.float32)
    one, other = (np.asarray(layer(values, training=True)) for _ in range(2))
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])
    assert np.array_equal(layer(values, training=False), values)


def test_augment_images_returns_copies(dataset: Dataset) -> None:
    images = dataset.train.images[:4]
    copies = augment_images(Augmentation(elastic=1.0), images, 3, seed=5)
    assert copies.shape == (3, 4, 28, 28)
    assert copies.dtype == np.uint8
    assert not np.array_equal(copies[0], copies[1])
    assert np.array_equal(copies, augment_images(Augmentation(elastic=1.0), images, 3, seed=5))
    still = augment_images(Augmentation(**NOTHING), images, 2)
    assert np.array_equal(still, np.stack([images, images]))


def test_a_share_of_the_1s_gets_an_upstroke(dataset: Dataset) -> None:
    images, labels = dataset.train.images, dataset.labels
    before = images.copy()
    drawn = add_upstrokes(images, labels, 0.25, seed=3)
    assert np.array_equal(images, before)
    changed = np.flatnonzero((drawn != images).any(axis=(1, 2)))
    assert set(labels[changed]) == {1}
    assert len(changed) == round(0.25 * (labels == 1).sum())
    assert np.array_equal(drawn, add_upstrokes(images, labels, 0.25, seed=3))
    assert not np.array_equal(drawn, add_upstrokes(images, labels, 0.25, seed=4))
    # There is more ink, the upper half is wider, and the digit is centred.
    ink, more = (each[changed].astype(np.float64) for each in (images, drawn))
    assert (more.sum(axis=(1, 2)) >= ink.sum(axis=(1, 2))).mean() > 0.9
    width, wider = (
        float((each[:, :14] > 60).any(axis=1).sum(axis=1).mean()) for each in (ink, more)
    )
    assert wider > 1.1 * width
    assert np.abs(centre_of_mass(more.astype(np.float32)) - CENTRE).max() < 1.1


def test_no_1s_need_no_upstrokes() -> None:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    assert not add_upstrokes(blank, np.array([1, 1, 2], np.uint8), 1.0, seed=0).any()
    assert len(add_upstrokes(blank[:0], np.zeros(0, np.uint8), 1.0, seed=0)) == 0


def test_recipes_without_elastic_are_read() -> None:
    recipe = Recipe("dense", augment=Augmentation(elastic=0.5))
    assert recipe_from_json(recipe.to_json()) == recipe
    old = recipe.to_json()
    del old["augment"]["elastic"], old["augment"]["elastic_grid"]
    restored = recipe_from_json(old)
    assert isinstance(restored, Recipe)
    assert restored.augment == Augmentation()


def test_summary_has_units() -> None:
    assert Augmentation(shear=0.0, elastic=1.5).summary == (
        "rotation ±10°, zoom ±10 %, shift ±2 px, elastic σ 1.5 px at 5 × 5 points"
    )
    assert Augmentation(**NOTHING).summary == "none"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation": 180.0},
        {"zoom": -0.1},
        {"shift": 14.0},
        {"elastic": -0.1},
        {"elastic": 3.4},
        {"elastic": 1.1, "elastic_grid": 14},
        {"elastic": float("nan")},
        {"elastic_grid": 1},
        {"elastic_grid": 15},
        {"elastic_grid": 5.0},
    ],
)
def test_ranges_that_destroy_digits_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="augmentation: "):
        Augmentation(**wrong)


def test_affine_range_of_tta_is_that_of_training() -> None:
    augmentation = Augmentation(rotation=12.0, zoom=0.12, shear=0.05, shift=1.5)
    assert Recipe("strong", augment=augmentation).affine_range == (12.0, 0.12, 0.12, 0.05, 1.5, 1.5)
    assert Recipe("strong").affine_range is None
    elastic = Augmentation(**NOTHING, elastic=1.0)
    assert Recipe("strong", augment=elastic).affine_range is None


def test_warp_for_xla_equals_tensorflows(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rotation, images = Augmentation(rotation=20), load(sample).train.images[:50]
    by_tensorflow = augment_images(rotation, images, 2, seed=3)
    monkeypatch.setattr(augmentation, "use_jit", lambda: True)
    ours = augment_images(rotation, images, 2, seed=3)
    assert np.abs(ours.astype(int) - by_tensorflow).max() <= 1
    assert np.abs(ours.astype(int) - images).mean() > 10
