"""Networks for the best accuracy per minute of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.backend import keras

# With Keras' default 0.99, the averages are not settled after a few hundred steps.
MOMENTUM = 0.9
# Pixels cropped from each side. The competition's digits fill the middle 20 × 20 pixels, so the
# border is background and takes a quarter of all multiply-adds.
MARGIN = 2
DCT_SIZE = 5


def strong(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """Fixed 5 × 5 DCT filters, two pairs of 3 × 3 convolutions, a dense layer.

    ``widths``: DCT filters (an even number), filters of the two convolutions at 10 × 10, of the two
    at 5 × 5, units of the dense layer. The dropout is before the logits.
    """
    first, *others = widths
    return keras().Sequential([*_dct_block(first), *_convolutions_and_dense(others, dropout)])


def strong_3x3(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """Like ``strong``, with a trained 3 × 3 convolution first and padded borders; slower.

    ``widths``: filters of the convolution at 24 × 24, of the two at 12 × 12, of the two at 6 × 6,
    units of the dense layer.
    """
    first, *others = widths
    k = keras()
    block = [k.layers.Cropping2D(MARGIN), *_convolution(first, pool=True)]
    return k.Sequential([*block, *_convolutions_and_dense(others, dropout)])


def fast(*, widths: Sequence[int] = (20, 48, 96)) -> Any:
    """Fixed DCT filters, one convolution, one dense layer.

    ``widths``: 5 × 5 DCT filters (an even number), filters of the 3 × 3 convolution, units of the
    dense layer.
    """
    first, second, units = widths
    k = keras()
    features = [*_dct_block(first), *_convolution(second, pool=True)]
    classifier = [*_dense_block(units, "glorot_uniform"), k.layers.Dense(10, name="logits")]
    return k.Sequential([*features, *classifier])


def dct_filters(count: int) -> NDArray[np.float32]:
    """Return the ``count`` two-dimensional DCT filters of lowest frequency, and their negatives.

    The basis functions of the discrete cosine transform (Ahmed, Natarajan, Rao 1974, "Discrete
    cosine transform") are close to the principal components of image patches, with which the
    fastest published CIFAR-10 training also starts (Jordan 2024, "94% on CIFAR-10 in 3.29
    seconds", section 3.1). A relu keeps the positive part of a filter's response; the negated
    filter keeps the rest.

    Returns (5, 5, 1, 2 × count) float32, each filter of Euclidean norm 1: a kernel for Conv2D.
    The count is 1 to 25.
    """
    centres = np.arange(DCT_SIZE) + 0.5
    cosines = np.cos(np.pi * np.outer(np.arange(DCT_SIZE), centres) / DCT_SIZE)
    down, across = np.indices((DCT_SIZE, DCT_SIZE)).reshape(2, -1)
    lowest = np.lexsort((across, down, down**2 + across**2))[:count]
    filters = cosines[down[lowest], :, None] * cosines[across[lowest], None, :]
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    both = np.concatenate([filters, -filters])
    return both.transpose(1, 2, 0)[:, :, None, :].astype(np.float32)


def dct_layer(filters: int, side: int) -> Any:
    """Return a Keras layer (n, side, side, 1) → (n, side − 4, side − 4, filters) of DCT filters.

    It is not trained: no gradient is computed for the layer with the largest images
    (benchmarks/research.md has the time this saves).

    Raises:
        UsageError: ``filters`` is not an even number from 2 to 50; half of them are negatives.
    """
    most = 2 * DCT_SIZE * DCT_SIZE
    if filters % 2 or not 2 <= filters <= most:
        expected = f"an even number from 2 to {most} (DCT filters and their negatives)"
        raise UsageError(f"the first of --widths is {filters}; it must be {expected}")
    options = {"use_bias": False, "kernel_initializer": "zeros", "trainable": False}
    layer = keras().layers.Conv2D(filters, DCT_SIZE, name="dct", **options)
    layer.build((None, side, side, 1))
    layer.set_weights([dct_filters(filters // 2)])
    return layer


def _dct_block(filters: int) -> list[Any]:
    """Cropping, DCT filters, pooling to 10 × 10, batch normalization, relu: no trained weights."""
    layers = keras().layers
    return [
        layers.Cropping2D(MARGIN),
        dct_layer(filters, SIDE - 2 * MARGIN),
        layers.MaxPooling2D(),
        layers.BatchNormalization(momentum=MOMENTUM, center=False, scale=False),
        layers.ReLU(),
    ]


def _convolution(filters: int, *, pool: bool = False) -> list[Any]:
    """3 × 3 convolution, pooling, batch normalization, relu.

    Pooling first saves three quarters of the normalization. Batch normalization has the bias.
    """
    layers = keras().layers
    return [
        layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"),
        *([layers.MaxPooling2D()] if pool else []),
        layers.BatchNormalization(momentum=MOMENTUM),
        layers.ReLU(),
    ]


def _dense_block(units: int, initializer: str = "he_normal") -> list[Any]:
    """Dense layer, batch normalization, relu; four times as fast as an equal convolution."""
    layers = keras().layers
    return [
        layers.Flatten(),
        layers.Dense(units, use_bias=False, kernel_initializer=initializer),
        layers.BatchNormalization(momentum=MOMENTUM),
        layers.ReLU(),
    ]


def _convolutions_and_dense(widths: Sequence[int], dropout: float) -> list[Any]:
    large, small, units = widths
    layers = keras().layers
    return [
        *_convolution(large),
        *_convolution(large, pool=True),
        *_convolution(small),
        *_convolution(small),
        *_dense_block(units),
        layers.Dropout(dropout),
        layers.Dense(10, name="logits"),
    ]
