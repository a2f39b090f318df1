"""Augmentation: training images a little turned, scaled, slanted, shifted, bent, anew each epoch.

A layer in front of the network while it is trained, and only then: whole batches, inside the
graph, in keras.ops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import PIXELS, SIDE
from kaggle_digits.models.backend import keras, use_jit
from kaggle_digits.models.tta import AffineRange, affine_coefficients

LIMITS = {"rotation": 180.0, "zoom": 0.9, "shear": 1.0, "shift": SIDE / 2}
FEWEST_POINTS, MOST_POINTS = 2, 14


@dataclass(frozen=True)
class Augmentation:
    """How far images are moved; each amount but ``elastic`` is drawn evenly from −x to x.

    Elastic distortion is that of Simard, Steinkraus and Platt 2003 ("Best Practices for
    Convolutional Neural Networks") with another smoothing: they draw a displacement for each
    pixel and blur it with a Gaussian; here a few are drawn, at the points of a coarse grid, and a
    spline goes through them, which costs one product of matrices and has its size in pixels.

    Attributes:
        rotation: degrees.
        zoom: share of the size, for height and width apart.
        shear: slant, in pixels sideways a pixel of height.
        shift: pixels, down and right apart.
        elastic: pixels, standard deviation of the normal displacements at the control points,
            down and right apart; 0 bends nothing.
        elastic_grid: control points a side, from corner to corner; more bend finer.
    """

    rotation: float = 10.0
    zoom: float = 0.1
    shear: float = 0.1
    shift: float = 2.0
    elastic: float = 0.0
    elastic_grid: int = 5

    def __post_init__(self) -> None:
        """Raise UsageError for an amount that leaves no digit to see."""
        for name, most in LIMITS.items():
            if not 0 <= getattr(self, name) < most:
                raise UsageError(
                    f"augmentation: {name} {getattr(self, name)} is outside 0 to {most}"
                )
        points = self.elastic_grid
        if not isinstance(points, int) or not FEWEST_POINTS <= points <= MOST_POINTS:
            raise UsageError(
                f"augmentation: elastic_grid {points} is not a whole number "
                f"from {FEWEST_POINTS} to {MOST_POINTS}"
            )
        # At this, one point in twelve or so passes its neighbour: the image is folded over itself.
        most = (SIDE - 1) / (points - 1) / 2
        if not 0 <= self.elastic < most:
            raise UsageError(
                f"augmentation: elastic {self.elastic} is outside 0 to {most:.4g}, "
                f"half the pixels between {points} control points a side"
            )

    @property
    def affine_range(self) -> AffineRange:
        """How far views of an image are moved when it is read: as far as in training."""
        return AffineRange(self.rotation, self.zoom, self.zoom, self.shear, self.shift, self.shift)

    @property
    def summary(self) -> str:
        """What is not 0, with its unit: ``rotation ±10°, elastic σ 1 px at 5 × 5 points``."""
        words = {
            "rotation": f"±{self.rotation:g}°",
            "zoom": f"±{100 * self.zoom:g} %",
            "shear": f"±{self.shear:g} px a row",
            "shift": f"±{self.shift:g} px",
            "elastic": f"σ {self.elastic:g} px at {self.elastic_grid} × {self.elastic_grid} points",
        }
        named = [f"{name} {text}" for name, text in words.items() if getattr(self, name)]
        return ", ".join(named) or "nothing"


def augmentation_layer(how: Augmentation, seed: int) -> Any:
    """A Keras layer: float (n, 28, 28, 1) → the same shape, moved when ``training`` is true.

    Its random state is a variable of the layer, so a checkpoint of the model holds it.
    """
    k = keras()
    ops = k.ops

    class Augment(keras().layers.Layer):  # type: ignore[misc]
        """See augment_layer."""

        def __init__(self) -> None:
            super().__init__(name="augment")
            self.draws = k.random.SeedGenerator(seed)
            self.basis = affine_basis()
            if how.elastic:
                self.basis = np.concatenate([self.basis, spline_basis(how.elastic_grid)])

        def call(self, images: Any, training: bool = False) -> Any:
            if not training:
                return images
            count = ops.shape(images)[0]
            draws = k.random.uniform((6, count), -1.0, 1.0, seed=self.draws)
            maps = _matrices(ops, draws, how)
            if not how.elastic and not use_jit():
                # TensorFlow's own warp is the faster one, but XLA does not know it.
                return ops.image.affine_transform(
                    images, maps, interpolation="bilinear", fill_mode="constant"
                )
            moves = ops.reshape(maps[:, :6], (-1, 2, 3))
            if how.elastic:
                field = k.random.normal(
                    (count, 2, how.elastic_grid**2), stddev=how.elastic, seed=self.draws
                )
                moves = ops.concatenate([moves, field], axis=2)
            places = ops.matmul(moves, self.basis)
            return bilinear_sample(ops, images, places[:, 0], places[:, 1])

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return Augment()


def augment_images(
    how: Augmentation, images: NDArray[np.uint8], copies: int, seed: int = 0
) -> NDArray[np.uint8]:
    """What a network sees of ``images`` in ``copies`` epochs, to look at.

    Args:
        how: the amounts.
        images: (n, 28, 28) uint8.
        copies: of each image, every one drawn anew.
        seed: the same seed gives the same copies.

    Returns:
        (copies, n, 28, 28) uint8.
    """
    layer = augmentation_layer(how, seed)
    values = np.tile(images[..., None].astype(np.float32), (copies, 1, 1, 1))
    found: NDArray[np.float32] = keras().ops.convert_to_numpy(layer(values, training=True))
    return np.rint(found).astype(np.uint8).reshape(copies, *images.shape)


def _matrices(ops: Any, draws: Any, how: Augmentation) -> Any:
    """(n, 8) maps from where a pixel is to where it comes from, about the image's centre."""
    amounts = [np.deg2rad(how.rotation), *how.affine_range[1:]]
    rows = affine_coefficients(
        ops, [draws[number] * amount for number, amount in enumerate(amounts)]
    )
    zero = ops.zeros_like(rows[0])
    return ops.stack([*rows, zero, zero], axis=1)


# One pixel of background before the image and two behind it: whatever lies outside reads as 0.
BEFORE, BEHIND = 1, 2
PADDED = BEFORE + SIDE + BEHIND


def spline_basis(points: int) -> NDArray[np.float32]:
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


def affine_basis() -> NDArray[np.float32]:
    """(3, 784) float32: column, row and 1 of each pixel, for an affine map to multiply."""
    rows, columns = np.indices((SIDE, SIDE)).reshape(2, PIXELS)
    return np.stack([columns, rows, np.ones(PIXELS)]).astype(np.float32)


def bilinear_sample(ops: Any, images: Any, columns: Any, rows: Any) -> Any:
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
