"""Fully connected networks: every pixel to every unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggle_digits.models.backend import keras


def mlp(*, batch_size: int, widths: Sequence[int] = (500,), l2: float = 2e-7) -> Any:
    """scikit-learn's multi-layer perceptron: relu, Adam at 1e-3, batches of 200.

    Args:
        batch_size: rows a step; turns ``l2`` into scikit-learn's alpha.
        widths: units of each hidden layer.
        l2: λ of mean log loss + λ ∑ w², as in Keras.
    """
    from sklearn.neural_network import MLPClassifier

    # scikit-learn adds ½ alpha ∑ w² / batch size; alpha 1e-4 is its default.
    return MLPClassifier(tuple(widths), alpha=2 * l2 * batch_size)


def dense(*, widths: Sequence[int] = (128, 128), dropout: float = 0.2, l2: float = 0.0) -> Any:
    """Hidden layers of relu units, each followed by dropout."""
    k = keras()
    regularizer = k.regularizers.L2(l2) if l2 else None
    layers = [k.layers.Flatten()]
    for width in widths:
        layers.append(k.layers.Dense(width, activation="relu", kernel_regularizer=regularizer))
        if dropout:
            layers.append(k.layers.Dropout(dropout))
    return k.Sequential([*layers, k.layers.Dense(10)])


def dense_deep(
    *, widths: Sequence[int] = (500, 200, 50), dropout: float = 0.3, l2: float = 0.0
) -> Any:
    """Three hidden layers, 500-200-50."""
    return dense(widths=widths, dropout=dropout, l2=l2)
