"""Normalization of pixel values: fitted to the training images and stored in the model.

A Keras model includes it as its first layers; a scikit-learn model is saved together with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError

KINDS = ("unit", "l2", "standard")
# Keeps a blank image 0 instead of NaN; keras.utils.normalize divides it by 1.
MIN_NORM = 1e-6


@dataclass(frozen=True)
class Normalizer:
    """image ↦ image × scale + offset; for ``l2`` then divided by its Euclidean norm.

    Attributes:
        kind: ``unit`` (÷ 255), ``l2`` (each image to norm 1, as ``tf.keras.utils.normalize`` on
            (n, 784)) or ``standard`` (mean 0, standard deviation 1 over all training pixels).
        scale, offset: for pixel values 0 to 255.
    """

    kind: str
    scale: float = 1 / 255
    offset: float = 0.0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → float32 of the same shape."""
        values = images.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)
        if self.kind == "l2":
            norms = np.sqrt(np.square(values).sum(axis=(1, 2), keepdims=True))
            values /= np.maximum(norms, np.float32(MIN_NORM))
        return values

    def layers(self, keras: Any) -> list[Any]:
        """Return equivalent Keras layers: (n, 28, 28) or (n, 28, 28, 1) → (n, 28, 28, 1)."""
        layers = [
            keras.layers.Reshape((28, 28, 1), name="one_channel"),
            keras.layers.Rescaling(self.scale, self.offset, name=f"normalize_{self.kind}"),
        ]
        if self.kind == "l2":
            layers.append(keras.layers.UnitNormalization(axis=(1, 2, 3), name="unit_length"))
        return layers


def fit_normalizer(kind: str, images: NDArray[np.uint8]) -> Normalizer:
    """Fit a normalizer of one of KINDS (or UsageError) to training rows (n, 28, 28) uint8."""
    if kind not in KINDS:
        raise UsageError(f"--normalize {kind} is unknown; one of: {', '.join(KINDS)}")
    if kind != "standard":
        return Normalizer(kind)
    # Sums over the histogram are exact, whatever the order of the rows.
    counts = np.bincount(images.ravel(), minlength=256)
    values = np.arange(256)
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * np.square(values - mean)).sum() / counts.sum())
    deviation = max(variance**0.5, 1.0)
    return Normalizer(kind, 1 / deviation, -mean / deviation)
