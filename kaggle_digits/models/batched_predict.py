"""Predict with a Keras network on large batches, without the overhead of Keras' predict.

Measured on a 2-core CPU (benchmarks/predicting.py, benchmarks/research.md): with predict's default
batches of 32, small networks spend more time on passing data and launching kernels than on
arithmetic. Here the network is traced once and called on batches of hundreds of images; two
batches in parallel save another 4 to 20 %. The weights are not frozen into the graph, so that the
predictions follow further training steps. Under JAX the network is a compiled function of weights
and images, called with two batch sizes only, because each size is compiled anew.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name
from kaggle_digits.data.digits import CLASSES, SIDE
from kaggle_digits.models.backend import keras, predict_batch_size, predict_workers

# The smaller batch size under JAX, so that a single drawing is not padded to 500 images.
SMALL_BATCH = 16

PredictBatch = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class BatchedPredictor:
    """Predicts uint8 (n, 28, 28) → float32 (n, 10) with a network whose weights may change.

    The first call traces or compiles the network. The same images and weights give the same bits
    in each call.
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 10) float32, equal to ``network.predict`` within 1e-5."""
        predictions = np.empty((len(images), CLASSES), np.float32)
        if not len(images):
            return predictions
        predict_batch, size = self._predict_batch, predict_batch_size()
        if predict_batch is None:
            predicted = self._network.predict(images, batch_size=size, verbose=0)
            return np.asarray(predicted, np.float32)

        def fill(start: int) -> None:
            predictions[start : start + size] = predict_batch(images[start : start + size])

        with ThreadPoolExecutor(predict_workers()) as pool:
            for _ in pool.map(fill, range(0, len(images), size)):
                pass
        return predictions

    @cached_property
    def concrete_function(self) -> Any:
        """The network as a TensorFlow function of one batch; None if it cannot be traced."""
        return trace(self._network)

    @cached_property
    def _predict_batch(self) -> PredictBatch | None:
        """A function of one batch; None if only Keras' predict can run the network."""
        if backend_name() == "jax":
            return _jit(self._network)
        function = self.concrete_function
        if function is None:
            return None
        import tensorflow as tf

        return lambda images: np.asarray(function(tf.constant(images)).numpy(), np.float32)


def trace(network: Any) -> Any:
    """Trace a network of uint8 (n, 28, 28) as a TensorFlow function; None if that is impossible."""
    if keras().backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    def predict(images: Any) -> Any:
        return network(images, training=False)

    try:
        return tf.function(predict).get_concrete_function(
            tf.TensorSpec((None, SIDE, SIDE), tf.uint8)
        )
    except Exception:
        # A layer of the user's that cannot be traced; predict runs it or reports the error.
        return None


def _jit(network: Any) -> PredictBatch | None:
    """Compile a network with JAX; None if that is impossible."""
    import jax

    def predict(trainable: Any, non_trainable: Any, images: Any) -> Any:
        return network.stateless_call(trainable, non_trainable, images, training=False)[0]

    compiled = jax.jit(predict)

    def predict_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = SMALL_BATCH if len(images) <= SMALL_BATCH else predict_batch_size()
        padded = np.zeros((size, SIDE, SIDE), np.uint8)
        padded[: len(images)] = images
        trainable = [variable.value for variable in network.trainable_variables]
        non_trainable = [variable.value for variable in network.non_trainable_variables]
        return np.asarray(compiled(trainable, non_trainable, padded), np.float32)[: len(images)]

    try:
        predict_batch(np.zeros((1, SIDE, SIDE), np.uint8))
    except Exception:
        # A layer of the user's in numpy; predict runs it or reports the error.
        return None
    return predict_batch
