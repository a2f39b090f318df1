"""Augmentation: random rotation, zoom, shear, shift and elastic distortion of training images.

It is a Keras layer in front of the network, active in training only. It works on whole batches
inside the graph and uses keras.ops only, so that it runs on every backend.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import PIXELS, SIDE, Images, Labels
from kaggle_digits.imaging.segmentation import center_by_mass
from kaggle_digits.models.backend import keras, use_jit
from kaggle_digits.models.tta import PAD_AFTER, PAD_BEFORE, AffineRange, affine_coefficients

LIMITS = {"rotation": 180.0, "zoom": 0.9, "shear": 1.0, "shift": SIDE / 2}
MIN_GRID, MAX_GRID = 2, 14
# Pixels, and degrees below the horizontal.
UPSTROKE_LENGTH, UPSTROKE_ANGLE = (5.0, 11.0), (30.0, 60.0)
# Background is added around an image before bilinear sampling: values outside the image are 0.
PADDED_SIDE = PAD_BEFORE + SIDE + PAD_AFTER


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the transformations; all but ``elastic`` are drawn uniformly from −x to x.

    Elastic distortion follows Simard, Steinkraus and Platt 2003 ("Best Practices for Convolutional
    Neural Networks") with another smoothing: they draw a displacement for each pixel and blur it
    with a Gaussian; here displacements are drawn at the points of a coarse grid and interpolated
    with a spline, which takes one matrix product.

    Attributes:
        rotation: degrees.
        zoom: fraction of the size; height and width are drawn separately.
        shear: pixels to the side per pixel of height.
        shift: pixels; down and right are drawn separately.
        elastic: standard deviation, in pixels, of the normally distributed displacements at the
            control points; 0 for no elastic distortion.
        elastic_grid: control points per side, from corner to corner.
        upstrokes: share of the training 1s, 0 to 1, that get the upstroke with which a 1 is
            written in much of Europe, and which the competition's 1s lack.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    rotation: float = 10.0
    zoom: float = 0.1
    shear: float = 0.1
    shift: float = 2.0
    elastic: float = 0.0
    elastic_grid: int = 5
    upstrokes: float = 0.0

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value < limit:
                raise UsageError(f"augmentation: {name} {value} is outside 0 to {limit}")
        if not 0 <= self.upstrokes <= 1:
            raise UsageError(f"augmentation: upstrokes {self.upstrokes} is outside 0 to 1")
        points = self.elastic_grid
        if not isinstance(points, int) or not MIN_GRID <= points <= MAX_GRID:
            wanted = f"a whole number from {MIN_GRID} to {MAX_GRID}"
            raise UsageError(f"augmentation: elastic_grid {points} is not {wanted}")
        # At this limit about one in twelve points passes its neighbour, which folds the image.
        limit = (SIDE - 1) / (points - 1) / 2
        if not 0 <= self.elastic < limit:
            raise UsageError(
                f"augmentation: elastic {self.elastic} is outside 0 to {limit:.4g}, "
                f"half the pixels between {points} control points per side"
            )

    @property
    def affine_range(self) -> AffineRange:
        """The range of test-time augmentation: that of training."""
        return AffineRange(self.rotation, self.zoom, self.zoom, self.shear, self.shift, self.shift)

    @property
    def summary(self) -> str:
        """The transformations with units, such as ``rotation ±10°, shift ±2 px``."""
        texts = {
            "rotation": f"±{self.rotation:g}°",
            "zoom": f"±{100 * self.zoom:g} %",
            "shear": f"±{self.shear:g} px per row",
            "shift": f"±{self.shift:g} px",
            "upstrokes": f"on {100 * self.upstrokes:g} % of the 1s",
            "elastic": f"σ {self.elastic:g} px at {self.elastic_grid} × {self.elastic_grid} points",
        }
        return ", ".join(f"{k} {text}" for k, text in texts.items() if getattr(self, k)) or "none"


def augmentation_layer(augmentation: Augmentation, seed: int) -> Any:
    """Return a Keras layer that transforms float (n, 28, 28, 1) images, in training only.

    Its random state is a variable of the layer, so a checkpoint of the model holds it.
    """
    k = keras()
    ops = k.ops

    class Augment(keras().layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="augment")
            self.draws = k.random.SeedGenerator(seed)
            # Column, row and 1 of each pixel, to be multiplied by affine maps.
            rows, columns = np.indices((SIDE, SIDE)).reshape(2, PIXELS)
            self.basis = np.stack([columns, rows, np.ones(PIXELS)]).astype(np.float32)
            if augmentation.elastic:
                spline = spline_basis(augmentation.elastic_grid)
                self.basis = np.concatenate([self.basis, spline])

        def call(self, images: Any, training: bool = False) -> Any:
            if not training:
                return images
            count = ops.shape(images)[0]
            draws = k.random.uniform((6, count), -1.0, 1.0, seed=self.draws)
            rotation, *others = augmentation.affine_range
            limits = [np.deg2rad(rotation), *others]
            rows = affine_coefficients(ops, [draws[i] * limit for i, limit in enumerate(limits)])
            if not augmentation.elastic and not use_jit():
                # TensorFlow's own operation is faster, but XLA cannot compile it.
                zero = ops.zeros_like(rows[0])
                return ops.image.affine_transform(
                    images, ops.stack([*rows, zero, zero], axis=1), fill_mode="constant"
                )
            coefficients = ops.reshape(ops.stack(rows, axis=1), (-1, 2, 3))
            if augmentation.elastic:
                shape = (count, 2, augmentation.elastic_grid**2)
                displacements = k.random.normal(shape, stddev=augmentation.elastic, seed=self.draws)
                coefficients = ops.concatenate([coefficients, displacements], axis=2)
            positions = ops.matmul(coefficients, self.basis)
            return bilinear_sample(ops, images, positions[:, 0], positions[:, 1])

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return Augment()


def add_upstrokes(images: Images, labels: Labels, share: float, seed: int) -> Images:
    """Return a copy of the images in which that share of the 1s, drawn at random, has an upstroke.

    Images are (n, 28, 28) uint8, labels (n,) uint8. The upstroke leads down and to the left from
    the top of the digit, is as thick as its strokes, and the whole is centred by mass again.
    """
    random = np.random.default_rng([seed, 1])
    ones = np.flatnonzero(labels == 1)
    chosen = random.choice(ones, round(share * len(ones)), replace=False)
    images = images.copy()
    rows, columns = np.indices((SIDE, SIDE)).astype(np.float32)
    for index in chosen:
        ink = images[index].astype(np.float32) / 255
        inked = ink.sum(axis=1)
        filled = np.flatnonzero(inked > 0.5)
        if not len(filled):
            continue
        thickness = float(np.clip(np.median(inked[filled]), 1.5, 4))
        top = filled[0] + thickness / 2 - 0.5
        left = float((ink[filled[0]] * np.arange(SIDE)).sum() / inked[filled[0]])
        length = random.uniform(*UPSTROKE_LENGTH)
        angle = np.deg2rad(random.uniform(*UPSTROKE_ANGLE))
        down, back = np.sin(angle), -np.cos(angle)
        # Distance of each pixel from the line from the top of the digit to the end of the upstroke.
        along = np.clip((rows - top) * down + (columns - left) * back, 0, length)
        distance = np.hypot(rows - top - along * down, columns - left - along * back)
        stroke = np.clip(thickness / 2 + 0.5 - distance, 0, 1) * ink.max()
        digit = np.maximum(ink, stroke)
        used_rows, used_columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
        box = np.s_[used_rows[0] : used_rows[-1] + 1, used_columns[0] : used_columns[-1] + 1]
        images[index] = center_by_mass(digit[box])
    return images


def augment_images(
    augmentation: Augmentation, images: Images, copies: int, seed: int = 0
) -> Images:
    """Return (copies, n, 28, 28) uint8: the (n, 28, 28) uint8 images as in that many epochs."""
    layer = augmentation_layer(augmentation, seed)
    values = np.tile(images[..., None].astype(np.float32), (copies, 1, 1, 1))
    moved: NDArray[np.float32] = keras().ops.convert_to_numpy(layer(values, training=True))
    return np.rint(moved).astype(np.uint8).reshape(copies, *images.shape)


def spline_basis(points: int) -> NDArray[np.float32]:
    """Return how much each control point of a grid contributes to the field at each pixel.

    The grid has at least 2 points per side and reaches from corner to corner of the image. Between
    them, the field is the natural cubic spline (de Boor, "A Practical Guide to Splines", 1978,
    chapter IV) in both directions.

    Returns:
        (points², 784) float32; the columns sum to 1. ``draws @ spline_basis(points)`` with draws
        (…, points²) of standard deviation s is a field (…, 784) of standard deviation s at the
        control points and down to two thirds of that between them.
    """
    from scipy.interpolate import CubicSpline

    positions = np.linspace(0, SIDE - 1, points)
    spline = CubicSpline(positions, np.eye(points), bc_type="natural")(np.arange(SIDE))
    return np.kron(spline, spline).T.astype(np.float32)


def bilinear_sample(ops: Any, images: Any, columns: Any, rows: Any) -> Any:
    """Return the bilinearly interpolated values of images at other positions; 0 outside.

    Images are float (n, 28, 28, 1); columns and rows, float (n, 784), are the position from which
    each new pixel is read. The function uses flat indices, because ``ops.image.map_coordinates``
    takes four times as long on a CPU.
    """
    padding = (PAD_BEFORE, PAD_AFTER)
    flat = ops.reshape(ops.pad(images, ((0, 0), padding, padding, (0, 0))), (-1,))
    columns = ops.clip(columns + PAD_BEFORE, 0, PADDED_SIDE - 2)
    rows = ops.clip(rows + PAD_BEFORE, 0, PADDED_SIDE - 2)
    left, top = ops.floor(columns), ops.floor(rows)
    x, y = columns - left, rows - top
    # Integer offsets: float32 is exact up to 17,000 images only.
    start = ops.arange(ops.shape(images)[0], dtype="int32")[:, None] * PADDED_SIDE**2
    corner = start + ops.cast(top * PADDED_SIDE + left, "int32")
    a, b = ops.take(flat, corner), ops.take(flat, corner + 1)
    upper = a + (b - a) * x
    a, b = ops.take(flat, corner + PADDED_SIDE), ops.take(flat, corner + PADDED_SIDE + 1)
    lower = a + (b - a) * x
    return ops.reshape(upper + (lower - upper) * y, (-1, SIDE, SIDE, 1))
