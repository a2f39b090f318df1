"""Pixels 0 to 255 brought to what a model learns from: learnt once, carried by the model.

The same numbers prepare training, validation, test and drawn images: a Keras model holds them as
its first layers, a scikit-learn model is kept together with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError

Kind = Literal["unit", "l2", "standard"]
KINDS: tuple[str, ...] = get_args(Kind)
# keras.utils.normalize divides a blank image by 1; this floor leaves it 0 as well.
SMALLEST_NORM = 1e-6


@dataclass(frozen=True)
class Normalizer:
    """image ↦ image × scale + offset, and for ``l2`` that divided by its Euclidean norm.

    Attributes:
        kind: ``unit`` (÷ 255), ``l2`` (each image to length 1, as ``tf.keras.utils.normalize`` on
            (n, 784)) or ``standard`` (mean 0, deviation 1 over all pixels of the training images).
        scale: factor for pixel values 0 to 255.
        offset: added after scaling.
    """

    kind: str
    scale: float = 1 / 255
    offset: float = 0.0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 to float32 of the same shape."""
        values = images.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)
        if self.kind == "l2":
            norms = np.sqrt(np.square(values).sum(axis=(1, 2), keepdims=True))
            values /= np.maximum(norms, np.float32(SMALLEST_NORM))
        return values

    def layers(self, keras: Any) -> list[Any]:
        """The same as Keras' own layers: (n, 28, 28), or one channel, to float32 (n, 28, 28, 1)."""
        layers = [
            keras.layers.Reshape((28, 28, 1), name="one_channel"),
            keras.layers.Rescaling(self.scale, self.offset, name=f"normalize_{self.kind}"),
        ]
        if self.kind == "l2":
            layers.append(keras.layers.UnitNormalization(axis=(1, 2, 3), name="unit_length"))
        return layers


def fit_normalizer(kind: str, images: NDArray[np.uint8]) -> Normalizer:
    """Learn a normaliser from training images only.

    Args:
        kind: one of KINDS.
        images: (n, 28, 28) uint8, the rows trained on.

    Raises:
        UsageError: unknown kind.
    """
    if kind not in KINDS:
        raise UsageError(f"--normalize {kind} is unknown; one of: {', '.join(KINDS)}")
    if kind != "standard":
        return Normalizer(kind)
    # Sums of whole numbers: exact, whatever the order of rows.
    counts = np.bincount(images.ravel(), minlength=256)
    values = np.arange(256)
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * np.square(values - mean)).sum() / counts.sum())
    deviation = max(variance**0.5, 1.0)
    return Normalizer(kind, 1 / deviation, -mean / deviation)
