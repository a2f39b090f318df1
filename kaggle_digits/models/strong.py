"""Networks for the best accuracy per minute of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.backend import keras
from kaggle_digits.models.dct import dct_layer

# With Keras' default 0.99, the averages are not settled after a few hundred steps.
MOMENTUM = 0.9
# Pixels cropped from each side. The competition's digits fill the middle 20 × 20 pixels, so the
# border is background and takes a quarter of all multiply-adds.
MARGIN = 2


def strong(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """Fixed 5 × 5 DCT filters, two pairs of 3 × 3 convolutions, a dense layer.

    Args:
        widths: DCT filters (an even number), filters of the two convolutions at 10 × 10, of the
            two at 5 × 5, units of the dense layer.
        dropout: before the logits.
    """
    first, *others = widths
    return keras().Sequential([*_dct_block(first), *_convolutions_and_dense(others, dropout)])


def strong_3x3(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """Like ``strong``, with a trained 3 × 3 convolution first and padded borders; slower.

    Args:
        widths: filters of the convolution at 24 × 24, of the two at 12 × 12, of the two at 6 × 6,
            units of the dense layer.
        dropout: before the logits.
    """
    first, *others = widths
    k = keras()
    block = [k.layers.Cropping2D(MARGIN), *_convolution(first, pool=True)]
    return k.Sequential([*block, *_convolutions_and_dense(others, dropout)])


def fast(*, widths: Sequence[int] = (20, 48, 96)) -> Any:
    """Fixed DCT filters, one convolution, one dense layer.

    Args:
        widths: 5 × 5 DCT filters (an even number), filters of the 3 × 3 convolution, units of the
            dense layer.
    """
    first, second, units = widths
    return keras().Sequential(
        [
            *_dct_block(first),
            *_convolution(second, pool=True),
            *_dense_block(units, "glorot_uniform"),
            keras().layers.Dense(10, name="logits"),
        ]
    )


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
