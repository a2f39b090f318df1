"""Rows come in the order asked for, none lost, and Keras learns from them as from arrays."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.core.environment import backend_name
from kaggle_digits.models.backend import keras, reset_session
from kaggle_digits.training.keras_trainer import Batches

ROWS, SIZE = 10, 4


def made_up() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (ROWS, 28, 28), np.uint8), rng.integers(0, 10, ROWS, np.int32)


@pytest.mark.skipif(backend_name() != "tensorflow", reason="arrays are handed to Keras as they are")
def test_every_row_comes_once_in_the_order_asked_for() -> None:
    keras()
    images, targets = made_up()
    batches = Batches(images, targets, SIZE)
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(ROWS)
        found = [(x.numpy(), y.numpy()) for x, y in batches.arranged(order)["x"]]
        assert [len(x) for x, _ in found] == [4, 4, 2]
        assert np.array_equal(np.concatenate([x for x, _ in found]), images[order])
        assert np.array_equal(np.concatenate([y for _, y in found]), targets[order])


def test_what_is_learnt_is_what_arrays_would_teach() -> None:
    images, targets = made_up()
    order = np.random.default_rng(3).permutation(ROWS)
    learnt = []
    for given in (
        {"x": images[order], "y": targets[order], "batch_size": SIZE, "shuffle": False},
        Batches(images, targets, SIZE).arranged(order),
    ):
        reset_session(5)
        k = keras()
        layers = [k.layers.Rescaling(1 / 255), k.layers.Flatten(), k.layers.Dense(10)]
        model = k.Sequential([k.Input((28, 28)), *layers])
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, jit_compile=False)
        model.fit(**given, epochs=2, verbose=0)
        learnt.append(model.get_weights())
    for one, other in zip(*learnt, strict=True):
        assert np.array_equal(one, other)


def test_nothing_is_tuned_behind_the_epoch() -> None:
    if backend_name() != "tensorflow":
        pytest.skip("no tf.data under other backends")
    keras()
    dataset = Batches(*made_up(), SIZE).arranged(np.arange(ROWS))["x"]
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == 3
