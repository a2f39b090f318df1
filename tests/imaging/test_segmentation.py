"""One digit among all ink, drawn as wide as training strokes are."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.imaging.background import FloatArray, ink_mask
from kaggle_digits.imaging.segmentation import THICKEST, THINNEST, render_like_mnist, segment_digit
from tests.support.pictures import draw_digit


def inked(digit: int, width: float = 0.09) -> FloatArray:
    return np.pad(1 - np.asarray(draw_digit(digit, width=width), np.float32) / 255, 1)


def test_specks_and_frames_are_left_out() -> None:
    picture = inked(4)
    alone = segment_digit(picture)
    picture[2:5, 2:5] = 1
    picture[0] = picture[-1] = picture[:, 0] = picture[:, -1] = 1
    found = segment_digit(picture)
    assert alone is not None
    assert found is not None
    assert found.box == alone.box
    assert not found.several


def test_a_stroke_apart_belongs_to_its_digit() -> None:
    picture = inked(7)
    picture[60:66] = 0  # the bar of the 7 is cut from its stem
    found = segment_digit(picture)
    assert found is not None
    assert found.box[0] < 60 < found.box[2]
    assert not found.several


def test_a_pale_stretch_is_as_dark_as_the_rest() -> None:
    picture = inked(1)
    picture[90:] *= 0.35
    found = segment_digit(picture)
    assert found is not None
    assert found.box[2] > 140, "the pale half is part of the digit"
    assert found.ink[-25:-5].max() > 0.9


def test_nothing_sure_is_nothing() -> None:
    assert segment_digit(np.full((20, 20), 0.4, np.float32)) is None


@pytest.mark.parametrize("width", [0.01, 0.05, 0.12, 0.2, 0.3])
def test_strokes_come_out_as_wide_as_in_training(width: float) -> None:
    found = segment_digit(inked(1, width))
    assert found is not None
    image, _ = render_like_mnist(found.ink)
    across = image[10:18].astype(float).sum(axis=1) / 255
    assert 0.6 * THINNEST < across.mean() < 1.4 * THICKEST


def test_ink_is_measured_against_uneven_paper() -> None:
    light = np.tile(np.linspace(0.4, 0.9, 200, dtype=np.float32), (200, 1))
    digit = 1 - np.asarray(draw_digit(4), np.float32) / 255
    found = ink_mask(np.repeat((light * (1 - 0.8 * digit))[..., None], 3, axis=2))
    assert found is not None
    assert found[digit > 0.5].min() > 0.4
    assert found[digit == 0].max() < 0.1


def test_plain_paper_has_no_ink() -> None:
    assert ink_mask(np.full((30, 30, 3), 0.7, np.float32)) is None
