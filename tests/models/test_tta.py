"""Test-time augmentation: views against the library's warp, and what comes of averaging them."""

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
    apply_affine,
    predict_tta,
    predict_tta_levels,
    tta_transforms,
)

REACH = AffineRange(10.0, 0.1, 0.1, 0.1, 2.0, 2.0)


def only(**given: float) -> NDArray[np.float64]:
    """One view's move."""
    return np.array(AffineRange(*[0.0] * 6)._replace(**given))


def bar(image: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Row and column of the middle of what is lit, and its lean in pixels a row."""
    rows, columns = np.indices(image.shape)
    weights = image / image.sum()
    row, column = (weights * rows).sum(), (weights * columns).sum()
    lean = (weights * (rows - row) * (columns - column)).sum() / (weights * (rows - row) ** 2).sum()
    return row, column, lean


@pytest.fixture
def upright() -> NDArray[np.uint8]:
    """(1, 28, 28): a bar four wide and twelve high, in the middle."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 8:20, 12:16] = 200
    return image


def test_each_amount_moves_as_it_is_called(upright: NDArray[np.uint8]) -> None:
    assert np.array_equal(apply_affine(upright, only()), upright)
    whole = apply_affine(upright, only(right=2.0, down=-1.0))
    # A view looks further right, so the digit goes left.
    assert np.array_equal(whole, np.roll(upright, (1, -2), axis=(1, 2)))
    assert bar(apply_affine(upright, only(slant=0.1))[0]) == pytest.approx(
        (13.5, 13.5, -0.1), abs=0.02
    )
    row, column, lean = bar(apply_affine(upright, only(rotation=10.0))[0])
    assert (row, column) == pytest.approx((13.5, 13.5), abs=0.05)
    assert abs(lean) == pytest.approx(np.tan(np.deg2rad(10)), abs=0.03)
    narrow, low = apply_affine(upright, only(width=0.5)), apply_affine(upright, only(height=0.5))
    assert (narrow[0].any(axis=0).sum(), narrow[0].any(axis=1).sum()) == (4, 12)
    assert (low[0].any(axis=0).sum(), low[0].any(axis=1).sum()) == (4, 8)


def test_what_leaves_is_gone_and_what_comes_in_is_background() -> None:
    corner = np.zeros((3, 28, 28), np.uint8)
    corner[1, 0, 27] = 255
    gone = apply_affine(corner, only(right=-1.0))
    assert not gone.any()
    assert gone.dtype == np.uint8
    assert apply_affine(corner, only(right=1.0))[1, 0, 26] == 255


def test_pixels_are_those_of_scipy() -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    for move in tta_transforms(9, REACH)[1:]:
        rotation, width, height, slant, right, down = move
        cos, sin = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
        whence = np.array(
            [
                [(1 + height) * cos, (1 + height) * sin],
                [slant - (1 + width) * sin, (1 + width) * cos],
            ]
        )
        offset = 13.5 - whence @ [13.5, 13.5] + [down, right]
        found = apply_affine(images, move)
        for image, got in zip(images.astype(float), found, strict=True):
            due = ndimage.affine_transform(
                np.pad(image, 2), whence, offset + 2 - whence @ [2, 2], order=1
            )
            assert np.abs(due[2:-2, 2:-2] - got).max() <= 0.51


def test_many_images_are_moved_as_each_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5000, 28, 28)).astype(np.uint8)
    view = tta_transforms(5, REACH)[3]
    together = apply_affine(images, view)
    for number in (0, 4095, 4096, 4999):
        assert np.array_equal(apply_affine(images[[number]], view)[0], together[number])


def test_views_are_pairs_of_opposites_within_reach() -> None:
    nine = tta_transforms(9, REACH)
    assert nine.shape == (9, len(REACH))
    assert not nine[0].any()
    assert np.array_equal(nine[1::2], -nine[2::2])
    assert (np.abs(nine) <= REACH).all()
    assert np.array_equal(tta_transforms(5, REACH), nine[:5])
    assert len(np.unique(nine, axis=0)) == 9
    assert tta_transforms(1, REACH).shape == (1, 6)
    points = Halton(6, scramble=False).random(5)[1:]
    assert np.allclose(nine[1::2], (2 * points - 1) * REACH)


def test_what_learnt_from_still_images_sees_whole_pixels() -> None:
    nine = tta_transforms(9, None)
    assert not nine[:, :4].any()
    assert sorted(map(tuple, nine[:, 4:])) == [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    assert not nine[0].any()
    for views in TTA_LEVELS:
        assert np.array_equal(tta_transforms(views, None), nine[:views])
        assert not tta_transforms(views, None).sum(axis=0).any()


class Reads:
    """Answers by how much of the image is lit above the middle."""

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ProbabilisticModel."""
        upper = images[:, :14].sum(axis=(1, 2)) / np.maximum(images.sum(axis=(1, 2)), 1)
        found = np.zeros((len(images), 10), np.float32)
        found[:, 0], found[:, 1] = upper, 1 - upper
        return found


@pytest.mark.parametrize("affine_range", [None, REACH])
def test_answers_are_averaged_over_the_views(
    upright: NDArray[np.uint8], affine_range: AffineRange | None
) -> None:
    reads = Reads()
    images = np.concatenate([upright, np.roll(upright, 6, axis=1)])
    by_views = predict_tta_levels(reads, images, 9, affine_range)
    assert list(by_views) == [1, 5, 9]
    assert np.array_equal(by_views[1], reads.predict_proba(images))
    each = [
        reads.predict_proba(apply_affine(images, move)) for move in tta_transforms(5, affine_range)
    ]
    assert np.allclose(by_views[5], np.mean(each, axis=0), atol=1e-6)
    assert not np.allclose(by_views[5][1], by_views[1][1], atol=1e-3)
    assert np.array_equal(predict_tta(reads, images, 5, affine_range), by_views[5])
    with pytest.raises(UsageError, match="--tta 3 is not offered; one of: 1, 5, 9"):
        predict_tta(reads, images, 3, affine_range)
