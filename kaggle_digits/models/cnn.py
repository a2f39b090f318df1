"""A plain convolutional network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggle_digits.models.backend import keras


def cnn(*, widths: Sequence[int] = (24, 48, 64, 128), dropout: float = 0.3, l2: float = 0.0) -> Any:
    """A 5 × 5 and then 3 × 3 convolutions, each pooled and normalized, and a dense layer.

    Args:
        widths: filters of each convolution, then units of the dense layer.
        dropout: before each of the last two dense layers.
        l2: λ of λ ∑ w² on every kernel.
    """
    k = keras()
    *filters, units = widths
    regularizer = k.regularizers.L2(l2) if l2 else None
    layers: list[Any] = []
    for depth, count in enumerate(filters):
        layers += [
            # Batch normalization has the bias.
            k.layers.Conv2D(
                count,
                5 if depth == 0 else 3,
                padding="same",
                use_bias=False,
                kernel_regularizer=regularizer,
            ),
            # Pooling first saves three quarters of the normalization; the result is the same
            # for a positive scale.
            k.layers.MaxPooling2D(),
            k.layers.BatchNormalization(momentum=0.9),  # the default 0.99 needs more than 100 steps
            k.layers.ReLU(),
        ]
    return k.Sequential(
        [
            *layers,
            k.layers.Flatten(),
            k.layers.Dropout(dropout),
            k.layers.Dense(units, activation="relu", kernel_regularizer=regularizer),
            k.layers.Dropout(dropout),
            k.layers.Dense(10),
        ]
    )
