"""Segmentation of one digit, and rendering with the stroke width of MNIST."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.imaging.background import FloatArray
from kaggle_digits.imaging.segmentation import (
    MAX_STROKE,
    MIN_STROKE,
    render_like_mnist,
    segment_digit,
)
from tests.support.pictures import draw_digit


def ink_of(digit: int, width: float = 0.09) -> FloatArray:
    return np.pad(1 - np.asarray(draw_digit(digit, width=width), np.float32) / 255, 1)


def test_specks_and_frames_are_removed() -> None:
    ink = ink_of(4)
    alone = segment_digit(ink)
    ink[2:5, 2:5] = 1
    ink[0] = ink[-1] = ink[:, 0] = ink[:, -1] = 1
    segment = segment_digit(ink)
    assert alone is not None
    assert segment is not None
    assert segment.box == alone.box
    assert not segment.several


def test_detached_stroke_belongs_to_the_digit() -> None:
    ink = ink_of(7)
    ink[60:66] = 0  # the bar of the 7 is cut from its stem
    segment = segment_digit(ink)
    assert segment is not None
    assert segment.box[0] < 60 < segment.box[2]
    assert not segment.several


def test_pale_stretch_is_normalized() -> None:
    ink = ink_of(1)
    ink[90:] *= 0.35
    segment = segment_digit(ink)
    assert segment is not None
    assert segment.box[2] > 140, "the pale half is part of the digit"
    assert segment.ink[-25:-5].max() > 0.9


def test_faint_ink_alone_is_not_a_digit() -> None:
    assert segment_digit(np.full((20, 20), 0.4, np.float32)) is None


@pytest.mark.parametrize("width", [0.01, 0.05, 0.12, 0.2, 0.3])
def test_stroke_width_matches_the_training_images(width: float) -> None:
    segment = segment_digit(ink_of(1, width))
    assert segment is not None
    image, _ = render_like_mnist(segment.ink)
    across = image[10:18].astype(float).sum(axis=1) / 255
    assert 0.6 * MIN_STROKE < across.mean() < 1.4 * MAX_STROKE


def test_halves_of_a_broken_digit_are_one_digit() -> None:
    ink = ink_of(4)
    ink[104:110] = 0
    segment = segment_digit(ink)
    assert segment is not None
    assert segment.box[0] < 60
    assert segment.box[2] > 140
    assert not segment.several


def test_part_of_a_neighbour_at_the_edge_is_not_the_digit() -> None:
    ink = ink_of(1)
    alone = segment_digit(ink)
    ink[20:180, :14] = 1  # heavier than the 1
    segment = segment_digit(ink)
    assert alone is not None
    assert segment is not None
    assert segment.box == alone.box
