"""Test-time augmentation: transforms compared with SciPy's, and averaged predictions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats.qmc import Halton

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.tta import (
    TTA_LEVELS,
    AffineRange,
    KeptCopies,
    apply_affine,
    predict_tta,
    tta_transforms,
)

RANGE = AffineRange(10.0, 0.1, 0.1, 0.1, 2.0, 2.0)


def only(**given: float) -> NDArray[np.float64]:
    """A transform with the given amounts; the others are 0."""
    return np.array(AffineRange(*[0.0] * 6)._replace(**given))


def moments(image: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Row and column of the centre of mass, and the shear in pixels per row."""
    rows, columns = np.indices(image.shape)
    weights = image / image.sum()
    row, column = (weights * rows).sum(), (weights * columns).sum()
    shear = (weights * (rows - row) * (columns - column)).sum() / (
        weights * (rows - row) ** 2
    ).sum()
    return row, column, shear


@pytest.fixture
def upright() -> NDArray[np.uint8]:
    """(1, 28, 28): a bar four wide and twelve high, in the middle."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 8:20, 12:16] = 200
    return image


def test_each_amount_has_its_effect(upright: NDArray[np.uint8]) -> None:
    assert np.array_equal(apply_affine(upright, only()), upright)
    whole = apply_affine(upright, only(right=2.0, down=-1.0))
    # The sampling grid moves right, so the digit moves left.
    assert np.array_equal(whole, np.roll(upright, (1, -2), axis=(1, 2)))
    assert moments(apply_affine(upright, only(shear=0.1))[0]) == pytest.approx(
        (13.5, 13.5, -0.1), abs=0.02
    )
    row, column, shear = moments(apply_affine(upright, only(rotation=10.0))[0])
    assert (row, column) == pytest.approx((13.5, 13.5), abs=0.05)
    assert abs(shear) == pytest.approx(np.tan(np.deg2rad(10)), abs=0.03)
    narrow, low = apply_affine(upright, only(width=0.5)), apply_affine(upright, only(height=0.5))
    assert (narrow[0].any(axis=0).sum(), narrow[0].any(axis=1).sum()) == (4, 12)
    assert (low[0].any(axis=0).sum(), low[0].any(axis=1).sum()) == (4, 8)


def test_pixels_outside_the_image_are_background() -> None:
    corner = np.zeros((3, 28, 28), np.uint8)
    corner[1, 0, 27] = 255
    gone = apply_affine(corner, only(right=-1.0))
    assert not gone.any()
    assert gone.dtype == np.uint8
    assert apply_affine(corner, only(right=1.0))[1, 0, 26] == 255


def test_result_equals_scipys_affine_transform() -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    for transform in tta_transforms(9, RANGE)[1:]:
        rotation, width, height, shear, right, down = transform
        cos, sin = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
        matrix = np.array(
            [
                [(1 + height) * cos, (1 + height) * sin],
                [shear - (1 + width) * sin, (1 + width) * cos],
            ]
        )
        offset = 13.5 - matrix @ [13.5, 13.5] + [down, right]
        found = apply_affine(images, transform)
        for image, transformed in zip(images.astype(float), found, strict=True):
            due = ndimage.affine_transform(
                np.pad(image, 2), matrix, offset + 2 - matrix @ [2, 2], order=1
            )
            assert np.abs(due[2:-2, 2:-2] - transformed).max() <= 0.51


def test_result_does_not_depend_on_the_batch() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5000, 28, 28)).astype(np.uint8)
    view = tta_transforms(5, RANGE)[3]
    together = apply_affine(images, view)
    for number in (0, 4095, 4096, 4999):
        assert np.array_equal(apply_affine(images[[number]], view)[0], together[number])


def test_transforms_are_opposite_pairs_within_the_range() -> None:
    nine = tta_transforms(9, RANGE)
    assert nine.shape == (9, len(RANGE))
    assert not nine[0].any()
    assert np.array_equal(nine[1::2], -nine[2::2])
    assert (np.abs(nine) <= RANGE).all()
    assert np.array_equal(tta_transforms(5, RANGE), nine[:5])
    assert len(np.unique(nine, axis=0)) == 9
    assert tta_transforms(1, RANGE).shape == (1, 6)
    points = Halton(6, scramble=False).random(5)[1:]
    assert np.allclose(nine[1::2], (2 * points - 1) * RANGE)


def test_transforms_without_augmentation_are_whole_pixel_shifts() -> None:
    nine = tta_transforms(9, None)
    assert not nine[:, :4].any()
    assert sorted(map(tuple, nine[:, 4:])) == [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    assert not nine[0].any()
    for tta in TTA_LEVELS:
        assert np.array_equal(tta_transforms(tta, None), nine[:tta])
        assert not tta_transforms(tta, None).sum(axis=0).any()


class UpperHalfModel:
    """Predict digit 0 with the share of ink in the upper half, otherwise 1."""

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 10) float32."""
        upper = images[:, :14].sum(axis=(1, 2)) / np.maximum(images.sum(axis=(1, 2)), 1)
        probabilities = np.zeros((len(images), 10), np.float32)
        probabilities[:, 0], probabilities[:, 1] = upper, 1 - upper
        return probabilities


def test_copies_are_kept_within_the_bound(
    upright: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaggle_digits.models.tta.MAX_KEPT_BYTES", 2 * upright.nbytes)
    copies = KeptCopies(upright)
    first, second, third = tta_transforms(5, RANGE)[1:4]
    for transform in (first, second, third):
        assert np.array_equal(copies.transformed(transform), apply_affine(upright, transform))
    assert copies.transformed(first) is copies.transformed(first)
    assert copies.transformed(third) is not copies.transformed(third)


@pytest.mark.parametrize("affine_range", [None, RANGE])
def test_predictions_are_averaged_over_the_copies(
    upright: NDArray[np.uint8], affine_range: AffineRange | None
) -> None:
    model = UpperHalfModel()
    images = np.concatenate([upright, np.roll(upright, 6, axis=1)])
    levels = predict_tta(model, images, 9, affine_range)
    assert list(levels) == [1, 5, 9]
    assert np.array_equal(levels[1], model.predict_proba(images))
    each = [
        model.predict_proba(apply_affine(images, transform))
        for transform in tta_transforms(5, affine_range)
    ]
    assert np.allclose(levels[5], np.mean(each, axis=0), atol=1e-6)
    assert not np.allclose(levels[5][1], levels[1][1], atol=1e-3)
    assert np.array_equal(predict_tta(model, images, 5, affine_range)[5], levels[5])
    kept = KeptCopies(images)
    for _ in range(2):
        shared = predict_tta(model, kept, 9, affine_range)
        assert all(np.array_equal(shared[level], levels[level]) for level in levels)
    with pytest.raises(UsageError, match="`tta=3` is not offered; one of: 1, 5, 9"):
        predict_tta(model, images, 3, affine_range)
