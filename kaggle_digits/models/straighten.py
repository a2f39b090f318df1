"""Digits set upright, or to one width, before a network sees them: members that err elsewhere.

Slant and width are a writer's habit, not part of the digit. Read off the image's moments, they
are taken out by one warp of the whole batch, in keras.ops, as the network's first step. (Ciresan,
Meier, Schmidhuber 2012, "Multi-column deep neural networks for image classification": columns that
see the digits at different widths err on different digits.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kaggle_digits.data.digits import CENTRE, SIDE
from kaggle_digits.models.backend import keras

# Slants that digits have: at most a pixel sideways a pixel up. A blank image has none.
MOST_SLANT = 1.0
# Standard deviation of the ink across, in pixels, of an average digit; and how far a digit is
# squeezed and widened at most, so that a 1 does not become a blot.
WIDTH, NARROWEST, WIDEST = 4.2, 0.35, 1.6
TINY = 1e-3


def upright(images: Any) -> Any:
    """Float (n, 28, 28, 1), 0 background → the same shape, slant removed, ink in the middle."""
    return _warp(images, even_width=False)


def evened(images: Any) -> Any:
    """Float (n, 28, 28, 1) → the same shape, upright and brought to one width of ink."""
    return _warp(images, even_width=True)


def _warp(images: Any, *, even_width: bool) -> Any:
    ops = keras().ops
    places = np.arange(SIDE, dtype=np.float32)
    # Plain arrays, not tensors: an export would take those for further inputs.
    across = np.tile(places, (SIDE, 1))[None, :, :, None]
    down = np.tile(places[:, None], (1, SIDE))[None, :, :, None]

    def mean(values: Any) -> Any:
        return ops.sum(values, axis=(1, 2, 3), keepdims=True) / ink

    ink = ops.sum(images, axis=(1, 2, 3), keepdims=True) + TINY
    middle_x, middle_y = mean(images * across), mean(images * down)
    beside, below = ops.subtract(across, middle_x), ops.subtract(down, middle_y)
    height = mean(images * below * below) + TINY
    slant = ops.clip(mean(images * below * beside) / height, -MOST_SLANT, MOST_SLANT)
    width = ops.ones_like(slant)
    if even_width:
        upright_beside = beside - slant * below
        deviation = ops.sqrt(mean(images * upright_beside * upright_beside) + TINY)
        width = ops.clip(deviation / WIDTH, NARROWEST, WIDEST)
    # Where each pixel comes from: its row is as far down for all, its place across leans with it.
    to_rows, to_columns = (
        (places - CENTRE)[None, :, None, None],
        (places - CENTRE)[None, None, None],
    )
    from_rows = middle_y + to_rows
    from_columns = middle_x + width * to_columns + slant * to_rows
    return _read(ops, images, from_rows, from_columns)


def _read(ops: Any, images: Any, rows: Any, columns: Any) -> Any:
    """The images' values at rows (n, 28, 1, 1) and columns (n, 28, 1, 28), bilinear; 0 outside.

    Two products with the weights of the neighbours, which every export format has; a warp of
    TensorFlow's own has none in LiteRT.
    """
    places = np.arange(SIDE, dtype=np.float32)
    weights = ops.relu(1 - ops.abs(rows[:, :, 0] - places[None, None, :]))
    lines = ops.matmul(weights, images[..., 0])[:, :, None, :]
    weights = ops.relu(1 - ops.abs(columns - places[None, None, :, None]))
    return ops.reshape(ops.matmul(lines, weights), (-1, SIDE, SIDE, 1))
