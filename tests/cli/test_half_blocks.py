"""Small images in the terminal."""

from __future__ import annotations

import numpy as np

from kaggle_digits.cli import half_blocks


def test_two_pixels_share_a_character() -> None:
    ink = np.array([[True, True, False, False], [True, False, True, False]])
    assert [line.plain for line in half_blocks.draw_ink(ink)] == ["█▀▄ "]
    (line,) = half_blocks.draw_colors(np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8))
    assert line.plain == "▀"
    assert str(line.spans[0].style) == "#ff0000 on #0000ff"
