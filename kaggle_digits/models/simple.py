"""Linear models, fully connected and convolutional networks, and two published baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaggle_digits.models.backend import keras


def linear(*, rows: int, l2: float = 1e-4) -> Any:
    """scikit-learn's multinomial logistic regression, fitted by L-BFGS.

    As in Keras, ``l2`` is λ of mean log loss + λ ∑ w²; ``rows`` is the number of training rows.
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

    ``widths`` are the units of each hidden layer; as in Keras, ``l2`` is λ of mean log loss +
    λ ∑ w²; ``batch_size`` is the number of rows per step.
    """
    from sklearn.neural_network import MLPClassifier

    # scikit-learn adds ½ alpha ∑ w² / batch size; its default alpha is 1e-4.
    return MLPClassifier(tuple(widths), alpha=2 * l2 * batch_size)


def dense(*, widths: Sequence[int] = (128, 128), dropout: float = 0.2, l2: float = 0.0) -> Any:
    """Hidden layers of ``widths`` units with relu, each followed by dropout.

    ``l2`` is λ of λ ∑ w² on every hidden kernel.
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


def cnn(*, widths: Sequence[int] = (24, 48, 64, 128), dropout: float = 0.3, l2: float = 0.0) -> Any:
    """A 5 × 5 and then 3 × 3 convolutions, each pooled and normalized, and a dense layer.

    ``widths``: filters of each convolution, then units of the dense layer. The dropout is before
    each of the two dense layers, ``l2`` the λ of λ ∑ w² on every kernel.
    """
    k = keras()
    *filters, units = widths
    regularizer = k.regularizers.L2(l2) if l2 else None
    options = {"padding": "same", "kernel_regularizer": regularizer}
    layers: list[Any] = []
    for depth, count in enumerate(filters):
        layers += [
            # Batch normalization has the bias. Pooling first saves three quarters of it; the
            # result is the same for a positive scale.
            k.layers.Conv2D(count, 3 if depth else 5, use_bias=False, **options),
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
    layers = [
        k.layers.Conv2D(32, 3, activation="relu"),
        k.layers.MaxPooling2D(),
        k.layers.Conv2D(64, 3, activation="relu"),
        k.layers.MaxPooling2D(),
        k.layers.Flatten(),
        k.layers.Dropout(dropout),
        k.layers.Dense(10),
    ]
    return k.Sequential(layers)


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
