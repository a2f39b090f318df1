"""A Keras network's answers, without what Keras' predict spends between batches.

Measured on a 2-core CPU (benchmarks/predicting.py, benchmarks/research.md): predict's default
batches of 32 cost more in passing data and starting kernels than small networks cost in
arithmetic. The network traced once and called on large batches costs the arithmetic. Turning its
weights into constants, so that batch normalisation is folded into the convolutions, saves some
3 % more and costs as much once; and what is frozen is stale after the next training step, while a
traced function reads the weights as they are. Two batches at a time save 4 to 20 %: one is worked
on while the other waits for a core. Under JAX the same is a compiled function that is given the
weights, and batches of two sizes only: each size is compiled anew.
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

# Under JAX, up to so many images are filled up to that many: a drawing need not wait for 500.
FEW = 16


# A batch, as (n, 28, 28) uint8 → (n, 10).
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class BatchedPredictor:
    """uint8 (n, 28, 28) → float32 (n, 10) by ``network``, whose weights may change between calls.

    The first call traces or compiles the network; the same images and weights give the same bits
    each time.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._traced: Any = None
        self._reads: Answer | None = None
        self._tried = False

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 10) float32, what ``network.predict`` gives within 1e-5."""
        answers = np.empty((len(images), CLASSES), np.float32)
        if not len(images):
            return answers
        traced, most = self._answer(), predict_batch_size()
        if traced is None:
            predicted = self._network.predict(images, batch_size=most, verbose=0)
            return np.asarray(predicted, np.float32)

        def read(start: int) -> None:
            answers[start : start + most] = traced(images[start : start + most])

        with ThreadPoolExecutor(predict_workers()) as pool:
            for _ in pool.map(read, range(0, len(images), most)):
                pass
        return answers

    def traced(self) -> Any:
        """The network as one TensorFlow function of a batch; None where that cannot be had."""
        self._answer()
        return self._traced

    def _answer(self) -> Answer | None:
        """What reads a batch; None where only predict will do."""
        if not self._tried:
            self._tried = True
            if backend_name() == "jax":
                self._reads = _compile(self._network)
            else:
                self._traced = trace(self._network)
                self._reads = self._traced and _of_tensors(self._traced)
        return self._reads


def trace(network: Any) -> Any:
    """A network of uint8 (n, 28, 28) as a TensorFlow function; None where only predict will do."""
    if keras().backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    def answer(images: Any) -> Any:
        return network(images, training=False)

    try:
        return tf.function(answer).get_concrete_function(
            tf.TensorSpec((None, SIDE, SIDE), tf.uint8)
        )
    except Exception:
        # Somebody's own layer that cannot be traced: predict can run it, or says what is wrong.
        return None


def _of_tensors(function: Any) -> Answer:
    """A TensorFlow function as one of arrays."""
    import tensorflow as tf

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(function(tf.constant(images)).numpy(), np.float32)

    return answer


def _compile(network: Any) -> Answer | None:
    """A network as a function compiled by JAX; None where only predict will do."""
    import jax

    def read(trainable: Any, fixed: Any, images: Any) -> Any:
        return network.stateless_call(trainable, fixed, images, training=False)[0]

    compiled = jax.jit(read)

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = FEW if len(images) <= FEW else predict_batch_size()
        filled = np.zeros((rows, SIDE, SIDE), np.uint8)
        filled[: len(images)] = images
        trainable = [variable.value for variable in network.trainable_variables]
        fixed = [variable.value for variable in network.non_trainable_variables]
        return np.asarray(compiled(trainable, fixed, filled), np.float32)[: len(images)]

    try:
        answer(np.zeros((1, SIDE, SIDE), np.uint8))
    except Exception:
        # Somebody's own layer in numpy: predict can run it, or says what is wrong.
        return None
    return answer
