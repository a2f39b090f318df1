"""Separation of ink and background."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kaggle_digits.imaging.background import ink_mask
from tests.support.pictures import draw_digit


def test_ink_on_unevenly_lit_paper() -> None:
    light = np.tile(np.linspace(0.4, 0.9, 200, dtype=np.float32), (200, 1))
    digit = 1 - np.asarray(draw_digit(4), np.float32) / 255
    ink = ink_mask(np.repeat((light * (1 - 0.8 * digit))[..., None], 3, axis=2))
    assert ink is not None
    assert ink[digit > 0.5].min() > 0.4
    assert ink[digit == 0].max() < 0.1


def test_plain_paper_has_no_ink() -> None:
    assert ink_mask(np.full((30, 30, 3), 0.7, np.float32)) is None


@pytest.mark.parametrize("shadow", [0.45, 0.7])
def test_ink_in_a_hard_shadow(shadow: float) -> None:
    digit = 1 - np.asarray(draw_digit(4), np.float32) / 255
    down, across = np.indices(digit.shape)
    light = np.where(down + across / 2 < 130, 0.9, 0.9 * shadow).astype(np.float32)
    light = gaussian_filter(light, 1)
    ink = ink_mask(np.repeat((light * (1 - 0.85 * digit))[..., None], 3, axis=2))
    assert ink is not None
    assert ink[digit > 0.5].min() > 0.4
    assert (ink[digit == 0] > 0.2).mean() < 0.01
