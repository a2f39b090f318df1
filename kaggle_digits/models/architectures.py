"""The architectures of the registered models, from logistic regression to convolutions.

``fast``, ``strong`` and ``strong_3x3`` are for the best accuracy per minute of training; two are
published baselines.
"""

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
            k.layers.BatchNormalization(momentum=MOMENTUM),
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
    (benchmarks/research.md has the time this saves). UsageError is raised unless ``filters``, half
    of which are negatives, is an even number from 2 to 50.
    """
    most = 2 * DCT_SIZE * DCT_SIZE
    if filters % 2 or not 2 <= filters <= most:
        expected = f"an even number from 2 to {most} (DCT filters and their negatives)"
        raise UsageError(f"the first of `widths` is {filters}; it must be {expected}")
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
