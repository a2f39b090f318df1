"""Augmentation: each training image a little turned, scaled, slanted and shifted, anew each epoch.

A layer in front of the network while it is trained, and only then: whole batches, inside the
graph, in keras.ops (TensorFlow's batched warp underneath).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kaggle_digits.data.digits import SIDE
from kaggle_digits.errors import UsageError
from kaggle_digits.models.engine import keras

CENTRE = (SIDE - 1) / 2
LIMITS = {"rotation": 180.0, "zoom": 0.9, "shear": 1.0, "shift": SIDE / 2}


@dataclass(frozen=True)
class Augmentation:
    """How far images are moved; each amount is drawn evenly from −x to x.

    Attributes:
        rotation: degrees.
        zoom: share of the size, for height and width apart.
        shear: slant, in pixels sideways a pixel of height.
        shift: pixels, down and right apart.
    """

    rotation: float = 10.0
    zoom: float = 0.1
    shear: float = 0.1
    shift: float = 2.0

    def __post_init__(self) -> None:
        """Raise UsageError for an amount that leaves no digit to see."""
        for name, most in LIMITS.items():
            if not 0 <= getattr(self, name) < most:
                raise UsageError(
                    f"augmentation: {name} {getattr(self, name)} is outside 0 to {most}"
                )


def augment_layer(how: Augmentation, seed: int) -> Any:
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

        def call(self, images: Any, training: bool = False) -> Any:
            if not training:
                return images
            draws = k.random.uniform((6, ops.shape(images)[0]), -1.0, 1.0, seed=self.draws)
            return ops.image.affine_transform(
                images, _matrices(ops, draws, how), interpolation="bilinear", fill_mode="constant"
            )

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return Augment()


def _matrices(ops: Any, draws: Any, how: Augmentation) -> Any:
    """(n, 8) maps from where a pixel is to where it comes from, about the image's centre."""
    angle = draws[0] * np.deg2rad(how.rotation)
    wide, high = 1 + draws[1] * how.zoom, 1 + draws[2] * how.zoom
    slant = draws[3] * how.shear
    cos, sin = ops.cos(angle), ops.sin(angle)
    xx, xy = wide * cos, slant - wide * sin
    yx, yy = high * sin, high * cos
    right = CENTRE - (xx + xy) * CENTRE + draws[4] * how.shift
    down = CENTRE - (yx + yy) * CENTRE + draws[5] * how.shift
    zero = ops.zeros_like(angle)
    return ops.stack([xx, xy, right, yx, yy, down, zero, zero], axis=1)
