"""Published networks, reproduced as baselines."""

from __future__ import annotations

from typing import Any

from kaggle_digits.models.backend import keras


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

    return k.Sequential(
        [
            *three(32),
            *three(64),
            *convolution(128, 4),
            k.layers.Flatten(),
            k.layers.Dropout(dropout),
            k.layers.Dense(10),
        ]
    )
