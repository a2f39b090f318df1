"""Convolutional networks: a plain one, and two published ones as baselines."""

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
    options = {"padding": "same", "kernel_regularizer": regularizer}
    layers: list[Any] = []
    for depth, count in enumerate(filters):
        layers += [
            # Batch normalization has the bias.
            k.layers.Conv2D(count, 3 if depth else 5, use_bias=False, **options),
            # Pooling first saves three quarters of the normalization; the result is the same
            # for a positive scale.
            k.layers.MaxPooling2D(),
            k.layers.BatchNormalization(momentum=0.9),  # the default 0.99 needs more than 100 steps
            k.layers.ReLU(),
        ]
    layers += [
        k.layers.Flatten(),
        k.layers.Dropout(dropout),
        k.layers.Dense(units, activation="relu", kernel_regularizer=regularizer),
        k.layers.Dropout(dropout),
        k.layers.Dense(10),
    ]
    return k.Sequential(layers)


def keras_convnet(*, dropout: float = 0.5) -> Any:
    """Keras' documentation example "Simple MNIST convnet" (Chollet 2015)."""
    k = keras()
    return k.Sequential(
        [
            k.layers.Conv2D(32, 3, activation="relu"),
            k.layers.MaxPooling2D(),
            k.layers.Conv2D(64, 3, activation="relu"),
            k.layers.MaxPooling2D(),
            k.layers.Flatten(),
            k.layers.Dropout(dropout),
            k.layers.Dense(10),
        ]
    )


def notebook_convnet(*, dropout: float = 0.4) -> Any:
    """The seven convolutions of "25 Million Images! [0.99757] MNIST" (Deotte 2018)."""
    k = keras()

    def convolution(filters: int, size: int, **options: Any) -> list[Any]:
        convolved = k.layers.Conv2D(filters, size, activation="relu", **options)
        return [convolved, k.layers.BatchNormalization()]

    def three(filters: int) -> list[Any]:
        return [
            *convolution(filters, 3),
            *convolution(filters, 3),
            *convolution(filters, 5, strides=2, padding="same"),
            k.layers.Dropout(dropout),
        ]

    convolutions = [*three(32), *three(64), *convolution(128, 4)]
    classifier = [k.layers.Flatten(), k.layers.Dropout(dropout), k.layers.Dense(10)]
    return k.Sequential([*convolutions, *classifier])
