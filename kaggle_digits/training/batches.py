"""Training rows cut into batches, as Keras' fit takes them.

Given arrays, Keras has tf.data find out how many threads should cut them. The thread that does
sleeps for 10 ms, 20 ms, 40 ms and so on, and in half of all epochs their end waits until it wakes:
they last 2.6, 5.2, 10.3 or 20.6 s where 1.5, 3, 6 or 12 would do (benchmarks/research.md). In
cutting arrays there is nothing to find out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name


class Batches:
    """Images and targets, to be handed out in one order after another."""

    def __init__(self, images: NDArray[np.uint8], targets: NDArray[Any], size: int) -> None:
        """Take (n, 28, 28) images and (n, …) targets; ``size`` is of a batch."""
        self._size = size
        self._rows: tuple[Any, Any] = (images, targets)
        if backend_name() == "tensorflow":
            import tensorflow as tf

            with tf.device("CPU:0"):
                self._rows = (tf.constant(images), tf.constant(targets))

    def arranged(self, order: NDArray[np.int64]) -> dict[str, Any]:
        """What fit is to be given so that the rows come in this order, the last batch perhaps less.

        Args:
            order: (n,) numbers of rows.
        """
        images, targets = self._rows
        if backend_name() != "tensorflow":
            return {
                "x": images[order],
                "y": targets[order],
                "batch_size": self._size,
                "shuffle": False,
            }
        import tensorflow as tf

        def batch(start: Any) -> tuple[Any, Any]:
            rows = order_held[start : start + self._size]
            return tf.gather(images, rows), tf.gather(targets, rows)

        with tf.device("CPU:0"):
            order_held = tf.constant(order)
            starts = tf.data.Dataset.range(0, len(order), self._size)
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = starts.map(batch).prefetch(2).with_options(options)
            return {"x": dataset, "shuffle": False}
