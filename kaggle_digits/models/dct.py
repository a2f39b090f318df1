"""A fixed first layer: the basis functions of the discrete cosine transform as filters.

The two-dimensional DCT basis functions (Ahmed, Natarajan, Rao 1974, "Discrete cosine transform"),
lowest frequencies first, are close to the principal components of image patches, with which the
fastest published CIFAR-10 training also starts (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds",
section 3.1). No gradient is computed for this layer, although its images are the largest:
benchmarks/research.md has the time this saves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.backend import keras

SIZE = 5


def dct_filters(count: int) -> NDArray[np.float32]:
    """Return the ``count`` two-dimensional DCT filters of lowest frequency, and their negatives.

    A relu keeps the positive part of a filter's response; the negated filter keeps the rest.

    Args:
        count: 1 to 25.

    Returns:
        (5, 5, 1, 2 × count) float32, each filter of Euclidean norm 1: a kernel for Conv2D.
    """
    centres = np.arange(SIZE) + 0.5
    cosines = np.cos(np.pi * np.outer(np.arange(SIZE), centres) / SIZE)
    down, across = np.indices((SIZE, SIZE)).reshape(2, -1)
    lowest = np.lexsort((across, down, down**2 + across**2))[:count]
    filters = cosines[down[lowest], :, None] * cosines[across[lowest], None, :]
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    both = np.concatenate([filters, -filters])
    return both.transpose(1, 2, 0)[:, :, None, :].astype(np.float32)


def dct_layer(filters: int, side: int) -> Any:
    """Return a Keras layer (n, side, side, 1) → (n, side − 4, side − 4, filters) of DCT filters.

    Raises:
        UsageError: ``filters`` is not an even number from 2 to 50; half of them are negatives.
    """
    most = 2 * SIZE * SIZE
    if filters % 2 or not 2 <= filters <= most:
        raise UsageError(
            f"the first of --widths is {filters}; it must be an even number from 2 to {most} "
            "(DCT filters and their negatives)"
        )
    layer = keras().layers.Conv2D(
        filters, SIZE, use_bias=False, kernel_initializer="zeros", trainable=False, name="dct"
    )
    layer.build((None, side, side, 1))
    layer.set_weights([dct_filters(filters // 2)])
    return layer
