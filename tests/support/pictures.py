"""Synthetic pictures of digits."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

# Polylines of each digit in a square of 100.
STROKES: dict[int, list[list[tuple[int, int]]]] = {
    1: [[(50, 5), (50, 95)]],
    4: [[(65, 5), (20, 65), (85, 65)], [(65, 35), (65, 95)]],
    7: [[(15, 8), (85, 8), (40, 95)]],
}


def draw_digit(
    digit: int, side: int = 200, *, paper: Any = 255, pen: Any = 0, width: float = 0.09
) -> Image.Image:
    """Draw a digit on a square of ``side`` pixels, filling its middle half."""
    mode = "L" if isinstance(paper, int) else "RGB"
    picture = Image.new(mode, (side, side), paper)
    draw_strokes(picture, digit, (side / 4, side / 4), side / 2, pen=pen, width=width)
    return picture


def draw_strokes(
    picture: Image.Image,
    digit: int,
    corner: tuple[float, float],
    size: float,
    *,
    pen: Any = 0,
    width: float = 0.09,
) -> None:
    """Draw a digit into the square of a picture given by its upper left corner and size."""
    draw = ImageDraw.Draw(picture)
    left, top = corner
    for line in STROKES[digit]:
        points = [(left + size * x / 100, top + size * y / 100) for x, y in line]
        draw.line(points, fill=pen, width=max(1, round(width * size)), joint="curve")


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a picture file."""
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest cosine similarity of two images over shifts by up to one pixel."""
    a, b = one.astype(float), other.astype(float)
    norms = max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9)
    shifts = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return max(float((a * np.roll(b, shift, (0, 1))).sum()) / norms for shift in shifts)
