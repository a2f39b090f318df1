"""Linear models and fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggle_digits.models.backend import keras


def linear(*, rows: int, l2: float = 1e-4) -> Any:
    """scikit-learn's multinomial logistic regression, fitted by L-BFGS.

    Args:
        rows: the number of training rows; needed to convert ``l2`` to scikit-learn's C.
        l2: λ of mean log loss + λ ∑ w², as in Keras.
    """
    from sklearn.linear_model import LogisticRegression

    # scikit-learn minimizes ½ ∑ w² + C ∑ loss, so C = 1 / (2 λ rows).
    return LogisticRegression(C=1 / (2 * max(l2, 1e-12) * rows), max_iter=200, tol=1e-3)


def softmax(*, l2: float = 1e-6) -> Any:
    """The same model as one dense layer, trained by gradient descent in Keras."""
    k = keras()
    regularizer = k.regularizers.L2(l2) if l2 else None
    return k.Sequential([k.layers.Flatten(), k.layers.Dense(10, kernel_regularizer=regularizer)])


def mlp(*, batch_size: int, widths: Sequence[int] = (500,), l2: float = 2e-7) -> Any:
    """scikit-learn's multi-layer perceptron with relu.

    Args:
        batch_size: rows per step; needed to convert ``l2`` to scikit-learn's alpha.
        widths: units of each hidden layer.
        l2: λ of mean log loss + λ ∑ w², as in Keras.
    """
    from sklearn.neural_network import MLPClassifier

    # scikit-learn adds ½ alpha ∑ w² / batch size; its default alpha is 1e-4.
    return MLPClassifier(tuple(widths), alpha=2 * l2 * batch_size)


def dense(*, widths: Sequence[int] = (128, 128), dropout: float = 0.2, l2: float = 0.0) -> Any:
    """Hidden layers with relu, each followed by dropout.

    Args:
        widths: units of each hidden layer.
        dropout: after each hidden layer.
        l2: λ of λ ∑ w² on every hidden kernel.
    """
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
    """``dense`` with three hidden layers of 500, 200 and 50 units."""
    return dense(widths=widths, dropout=dropout, l2=l2)
