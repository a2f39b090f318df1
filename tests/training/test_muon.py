"""The shorter way through Newton–Schulz ends where Keras' own does."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.models.backend import keras
from kaggle_digits.training.muon import conv_muon, newton_schulz

KERAS_OWN = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(96, 16), (16, 96), (24, 24), (2400, 32)])
def test_it_is_keras_own_iteration(shape: tuple[int, int]) -> None:
    matrix = 1e-3 * np.random.default_rng(0).normal(size=shape).astype(np.float32)
    matrix[:, 1] = matrix[:, 0]  # some singular value is 0
    ops = keras().ops
    found = ops.convert_to_numpy(newton_schulz(ops.convert_to_tensor(matrix), KERAS_OWN, 5))
    own = keras().optimizers.Muon().zeropower_via_newtonschulz5(ops.convert_to_tensor(matrix), 5)
    assert found.shape == shape
    assert np.abs(found - ops.convert_to_numpy(own)).max() < 5e-5


def test_singular_values_are_near_one() -> None:
    matrix = np.random.default_rng(1).normal(size=(60, 20)).astype(np.float32)
    ops = keras().ops
    found = ops.convert_to_numpy(newton_schulz(ops.convert_to_tensor(matrix), KERAS_OWN, 5))
    values = np.linalg.svd(found, compute_uv=False)
    assert values.min() > 0.5 and values.max() < 1.3


def test_a_gradient_of_zero_moves_nothing() -> None:
    ops = keras().ops
    found = newton_schulz(ops.zeros((8, 4)), KERAS_OWN, 5)
    assert not ops.convert_to_numpy(found).any()


def test_a_kernel_moves_by_its_orthogonalised_gradient() -> None:
    k = keras()
    before = np.random.default_rng(2).normal(size=(3, 3, 4, 6)).astype(np.float32)
    gradient = np.random.default_rng(3).normal(size=before.shape).astype(np.float32)
    kernel = k.Variable(before)
    optimizer = conv_muon(0.1, weight_decay=0.0)
    optimizer.apply([k.ops.convert_to_tensor(gradient)], [kernel])
    ahead = k.ops.convert_to_tensor((1.95 * gradient).reshape(36, 6))  # Nesterov's momentum of 0.95
    step = k.ops.convert_to_numpy(newton_schulz(ahead, KERAS_OWN, 5)).reshape(before.shape)
    moved = k.ops.convert_to_numpy(kernel) - before
    assert np.allclose(moved, -0.1 * 0.2 * 6 * step, atol=1e-6)  # sqrt(36) of the longer side
