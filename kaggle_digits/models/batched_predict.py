"""Predict with a Keras network on large batches, without the overhead of Keras' predict.

Measured on a 2-core CPU (benchmarks/predicting.py, benchmarks/research.md): with predict's default
batches of 32, small networks spend more time on passing data and launching kernels than on
arithmetic. Here the network is traced once and called on batches of hundreds of images; two
batches in parallel save another 4 to 20 %. The weights are not frozen into the graph, so that the
predictions follow further training steps.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name
from kaggle_digits.data.digits import CLASSES, SIDE
from kaggle_digits.models.backend import keras, predict_batch_size, predict_workers

# The smaller batch size under JAX, so that a single drawing is not padded to 500 images.
SMALL_BATCH = 16

PredictProba = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def predict_batches(predict_batch: PredictProba, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Call ``predict_batch`` on parallel batches: uint8 (n, 28, 28) → float32 (n, 10)."""
    predictions = np.empty((len(images), CLASSES), np.float32)
    size = predict_batch_size()

    def fill(start: int) -> None:
        predictions[start : start + size] = predict_batch(images[start : start + size])

    with ThreadPoolExecutor(predict_workers()) as pool:
        list(pool.map(fill, range(0, len(images), size)))
    return predictions


def compile_network(network: Any, traced: Any) -> PredictProba | None:
    """Return a function of one batch; None if only Keras' predict can run the network.

    Args:
        network: maps uint8 (n, 28, 28) to (n, 10).
        traced: the result of ``trace``.
    """
    if backend_name() == "jax":
        return _jit(network)
    if traced is None:
        return None
    import tensorflow as tf

    return lambda images: np.asarray(traced(tf.constant(images)).numpy(), np.float32)


def trace(network: Any) -> Any:
    """Trace a network of uint8 (n, 28, 28) as a TensorFlow function; None if that is impossible."""
    if keras().backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    def predict(images: Any) -> Any:
        return network(images, training=False)

    images = tf.TensorSpec((None, SIDE, SIDE), tf.uint8)
    try:
        return tf.function(predict).get_concrete_function(images)
    except Exception:
        # A layer of the user's that cannot be traced; predict runs it or reports the error.
        return None


def _jit(network: Any) -> PredictProba | None:
    """Compile a network with JAX; None if that is impossible.

    It is called with two batch sizes only, because JAX compiles each size anew.
    """
    import jax

    def predict(trainable: Any, non_trainable: Any, images: Any) -> Any:
        return network.stateless_call(trainable, non_trainable, images, training=False)[0]

    compiled = jax.jit(predict)

    def predict_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = SMALL_BATCH if len(images) <= SMALL_BATCH else predict_batch_size()
        padded = np.zeros((size, SIDE, SIDE), np.uint8)
        padded[: len(images)] = images
        variables = network.trainable_variables, network.non_trainable_variables
        trainable, non_trainable = ([v.value for v in group] for group in variables)
        return np.asarray(compiled(trainable, non_trainable, padded), np.float32)[: len(images)]

    try:
        predict_batch(np.zeros((1, SIDE, SIDE), np.uint8))
    except Exception:
        # A layer of the user's in numpy; predict runs it or reports the error.
        return None
    return predict_batch
