"""A Keras network's answers, without what Keras' predict spends between batches.

Measured on a 2-core CPU (benchmarks/predicting.py, benchmarks/research.md): predict's default
batches of 32 cost more in passing data and starting kernels than small networks cost in
arithmetic. The network traced once and called on large batches costs the arithmetic. Turning its
weights into constants, so that batch normalisation is folded into the convolutions, saves some
3 % more and costs as much once; and what is frozen is stale after the next training step, while a
traced function reads the weights as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES, SIDE
from kaggle_digits.models.engine import keras

# Measured from 50 to 2,000: from 400 on nothing gets faster, only larger (24 filters at 28 × 28
# are 38 MB).
BATCH = 500


class Predictor:
    """uint8 (n, 28, 28) → float32 (n, 10) by ``network``, whose weights may change between calls.

    The first call traces the network; the same images and weights give the same bits each time.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._traced: Any = None
        self._tried = False

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 10) float32, what ``network.predict`` gives within 1e-5."""
        answers = np.empty((len(images), CLASSES), np.float32)
        if not len(images):
            return answers
        traced = self.traced()
        if traced is None:
            predicted = self._network.predict(images, batch_size=BATCH, verbose=0)
            return np.asarray(predicted, np.float32)
        import tensorflow as tf

        for start in range(0, len(images), BATCH):
            stop = start + BATCH
            answers[start:stop] = traced(tf.constant(images[start:stop])).numpy()
        return answers

    def traced(self) -> Any:
        """The network as one TensorFlow function of a batch; None where only predict will do."""
        if not self._tried:
            self._traced, self._tried = trace(self._network), True
        return self._traced


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
