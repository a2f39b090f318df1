"""A first layer that need not be learnt: small cosine waves, as they stand in every picture.

What a network learns first about pictures is much the same each time: blobs, edges, bars. The
products of cosines of the discrete cosine transform (Ahmed, Natarajan, Rao 1974, "Discrete cosine
transform") are, lowest frequencies first, close to the principal components of patches of
pictures; a fixed layer of such components in front is what the fastest published trainings start
with (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds", section 3.1). Nothing has to flow back
through it, where an image is largest: benchmarks/research.md says what that saves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.backend import keras

WAVE = 5


def dct_filters(count: int) -> NDArray[np.float32]:
    """The ``count`` lowest products of cosines down and across, then each of them negated.

    A rectified filter keeps one side of what it finds; with its negative nothing is lost.

    Args:
        count: 1 to 25.

    Returns:
        (5, 5, 1, 2 × count) float32, each filter of length 1: a kernel for Conv2D.
    """
    middles = np.arange(WAVE) + 0.5
    waves = np.cos(np.pi * np.outer(np.arange(WAVE), middles) / WAVE)
    down, across = np.indices((WAVE, WAVE)).reshape(2, -1)
    lowest = np.lexsort((across, down, down**2 + across**2))[:count]
    filters = waves[down[lowest], :, None] * waves[across[lowest], None, :]
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    both = np.concatenate([filters, -filters])
    return both.transpose(1, 2, 0)[:, :, None, :].astype(np.float32)


def dct_layer(filters: int, side: int) -> Any:
    """A Keras convolution by fixed waves, no border filled in: (side, side, 1) → (side − 4, …).

    Args:
        filters: an even number, 2 to 50: half of them the waves, half their negatives.
        side: of the square images.

    Raises:
        UsageError: another number of filters.
    """
    most = 2 * WAVE * WAVE
    if filters % 2 or not 2 <= filters <= most:
        raise UsageError(
            f"the first of --widths is {filters}; it has to be an even number from 2 to {most}: "
            "waves and their negatives"
        )
    layer = keras().layers.Conv2D(
        filters, WAVE, use_bias=False, kernel_initializer="zeros", trainable=False, name="waves"
    )
    layer.build((None, side, side, 1))
    layer.set_weights([dct_filters(filters // 2)])
    return layer
