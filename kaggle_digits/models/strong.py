"""Networks for the best score per minute: every multiply-add has to earn its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggle_digits.models.engine import keras

# 0.99 settles too slowly for trainings of a few hundred steps.
MOMENTUM = 0.9


def strong(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """3 × 3 convolutions, two a size, then 7 × 7 over all that is left.

    Args:
        widths: filters at 28 × 28 (one convolution), 14 × 14 (two), 7 × 7 (two), 1 × 1.
        dropout: before the logits.
    """
    k = keras()
    large, middle, small, last = widths
    return k.Sequential(
        [
            *_convolution(large, 3, pool=True),
            *_convolution(middle, 3),
            *_convolution(middle, 3, pool=True),
            *_convolution(small, 3),
            *_convolution(small, 3),
            *_convolution(last, 7, padding="valid"),
            k.layers.Flatten(),
            k.layers.Dropout(dropout),
            k.layers.Dense(10, name="out"),
        ]
    )


def fast(*, widths: Sequence[int] = (24, 32, 256)) -> Any:
    """Two convolutions, each pooled before it is normalised, and one dense layer.

    Args:
        widths: filters of the 5 × 5 and the 3 × 3 convolution, units of the dense layer.
    """
    k = keras()
    first, second, units = widths
    return k.Sequential(
        [
            *_convolution(first, 5, pool=True),
            *_convolution(second, 3, pool=True),
            k.layers.Flatten(),
            k.layers.Dense(units, use_bias=False),
            k.layers.BatchNormalization(momentum=MOMENTUM),
            k.layers.ReLU(),
            k.layers.Dense(10, name="out"),
        ]
    )


def _convolution(
    filters: int, size: int, *, pool: bool = False, padding: str = "same"
) -> list[Any]:
    """Convolution, pooling, batch normalisation, relu.

    Pooling first costs a quarter of the normalising; batch normalisation brings the offset.
    """
    k = keras()
    return [
        k.layers.Conv2D(
            filters, size, padding=padding, use_bias=False, kernel_initializer="he_normal"
        ),
        *([k.layers.MaxPooling2D()] if pool else []),
        k.layers.BatchNormalization(momentum=MOMENTUM),
        k.layers.ReLU(),
    ]
