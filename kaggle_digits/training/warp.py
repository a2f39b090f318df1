"""Images looked up at other places: an affine map and a smooth random field, one interpolation.

In keras.ops alone, whole batches: one product of matrices gives every place, four look-ups its
pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import PIXELS, SIDE

# One pixel of background before the image and two behind it: whatever lies outside reads as 0.
BEFORE, BEHIND = 1, 2
PADDED = BEFORE + SIDE + BEHIND


def field_basis(points: int) -> NDArray[np.float32]:
    """What each control point of a grid adds to the field, at each pixel.

    The grid reaches from corner to corner of the image. Between its points stands the natural
    cubic spline through them (de Boor, "A Practical Guide to Splines", 1978, chapter IV), down
    and across: twice smooth, and at a control point exactly what was drawn there.

    Args:
        points: control points a side, at least 2.

    Returns:
        (points², 784) float32; the columns sum to 1. ``draws @ field_basis(points)`` with draws
        (…, points²) of deviation s is a field (…, 784) of deviation s at the control points and
        down to two thirds of that between them.
    """
    from scipy.interpolate import CubicSpline

    places = np.linspace(0, SIDE - 1, points)
    one = CubicSpline(places, np.eye(points), bc_type="natural")(np.arange(SIDE))
    return np.kron(one, one).T.astype(np.float32)


def place_basis() -> NDArray[np.float32]:
    """(3, 784) float32: column, row and 1 of each pixel, for an affine map to multiply."""
    rows, columns = np.indices((SIDE, SIDE)).reshape(2, PIXELS)
    return np.stack([columns, rows, np.ones(PIXELS)]).astype(np.float32)


def look_up(ops: Any, images: Any, columns: Any, rows: Any) -> Any:
    """The images' values at other places, bilinear; 0 outside.

    Flat indices, since ``ops.image.map_coordinates`` takes four times as long on a CPU.

    Args:
        ops: keras.ops.
        images: float (n, 28, 28, 1).
        columns: float (n, 784), the place across that each new pixel is read from.
        rows: the same, down.

    Returns:
        float (n, 28, 28, 1).
    """
    around = (BEFORE, BEHIND)
    flat = ops.reshape(ops.pad(images, ((0, 0), around, around, (0, 0))), (-1,))
    columns = ops.clip(columns + BEFORE, 0, PADDED - 2)
    rows = ops.clip(rows + BEFORE, 0, PADDED - 2)
    left, top = ops.floor(columns), ops.floor(rows)
    right_share, low_share = columns - left, rows - top
    # Whole numbers for the image's own start: a float32 counts to 17,000 images only.
    start = ops.arange(ops.shape(images)[0], dtype="int32")[:, None] * PADDED**2
    corner = start + ops.cast(top * PADDED + left, "int32")
    one, other = ops.take(flat, corner), ops.take(flat, corner + 1)
    above = one + (other - one) * right_share
    one, other = ops.take(flat, corner + PADDED), ops.take(flat, corner + PADDED + 1)
    below = one + (other - one) * right_share
    return ops.reshape(above + (below - above) * low_share, (-1, SIDE, SIDE, 1))
