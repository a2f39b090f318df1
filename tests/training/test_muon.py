"""Muon for convolutions: the iteration, which variables it updates, and what it needs of Keras."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from kaggle_digits.models.backend import keras
from kaggle_digits.models.registry import build
from kaggle_digits.training.keras_trainer import make_optimizer
from kaggle_digits.training.muon import conv_muon, newton_schulz
from kaggle_digits.training.recipe import Recipe

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Keras


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_should_use_adamw", ["self", "variable"]),
        ("_muon_update_step", ["self", "gradient", "variable", "lr", "m"]),
    ],
)
def test_keras_muon_still_has_the_private_methods_we_override(
    method: str, parameters: list[str]
) -> None:
    original = getattr(keras().optimizers.Muon, method, None)
    assert original is not None, (
        f"keras.optimizers.Muon has no method {method} any more; "
        "adapt kaggle_digits/training/muon.py to this version of Keras"
    )
    assert list(inspect.signature(original).parameters) == parameters, (
        f"the parameters of keras.optimizers.Muon.{method} changed; "
        "adapt kaggle_digits/training/muon.py to this version of Keras"
    )


def test_keras_muon_calls_the_private_methods_we_override() -> None:
    k = keras()
    called = set()

    class Recording(k.optimizers.Muon):  # type: ignore[misc, name-defined]
        def _should_use_adamw(self, variable: Any) -> bool:
            called.add("_should_use_adamw")
            return False

        def _muon_update_step(self, *_: Any) -> None:
            called.add("_muon_update_step")

    weights = k.Variable(np.ones((4, 3), np.float32))
    Recording().apply([k.ops.ones((4, 3))], [weights])
    assert called == {"_should_use_adamw", "_muon_update_step"}, (
        "keras.optimizers.Muon does not call them any more; "
        "adapt kaggle_digits/training/muon.py to this version of Keras"
    )


@pytest.mark.parametrize("shape", [(96, 16), (16, 96), (24, 24), (2400, 32)])
def test_newton_schulz_agrees_with_keras(shape: tuple[int, int]) -> None:
    matrix = 1e-3 * np.random.default_rng(0).normal(size=shape).astype(np.float32)
    matrix[:, 1] = matrix[:, 0]  # one singular value is 0
    ops = keras().ops
    tensor = ops.convert_to_tensor(matrix)
    ours = ops.convert_to_numpy(newton_schulz(tensor, COEFFICIENTS, 5))
    theirs = keras().optimizers.Muon().zeropower_via_newtonschulz5(tensor, 5)
    assert ours.shape == shape
    assert np.abs(ours - ops.convert_to_numpy(theirs)).max() < 5e-5


def test_singular_values_are_near_one() -> None:
    matrix = np.random.default_rng(1).normal(size=(60, 20)).astype(np.float32)
    ops = keras().ops
    result = ops.convert_to_numpy(newton_schulz(ops.convert_to_tensor(matrix), COEFFICIENTS, 5))
    values = np.linalg.svd(result, compute_uv=False)
    assert values.min() > 0.5 and values.max() < 1.3


def test_zero_gradient_changes_nothing() -> None:
    ops = keras().ops
    assert not ops.convert_to_numpy(newton_schulz(ops.zeros((8, 4)), COEFFICIENTS, 5)).any()


def test_kernel_is_updated_by_its_orthogonalized_gradient() -> None:
    k = keras()
    before = np.random.default_rng(2).normal(size=(3, 3, 4, 6)).astype(np.float32)
    gradient = np.random.default_rng(3).normal(size=before.shape).astype(np.float32)
    kernel = k.Variable(before)
    optimizer = conv_muon(0.1, weight_decay=0.0)
    optimizer.apply([k.ops.convert_to_tensor(gradient)], [kernel])
    # With Nesterov momentum of 0.95.
    direction = k.ops.convert_to_tensor((1.95 * gradient).reshape(36, 6))
    step = k.ops.convert_to_numpy(newton_schulz(direction, COEFFICIENTS, 5)).reshape(before.shape)
    change = k.ops.convert_to_numpy(kernel) - before
    assert np.allclose(change, -0.1 * 0.2 * 6 * step, atol=1e-6)  # sqrt(36) of the longer side


def updated_by_muon(model: Any) -> list[tuple[int, ...]]:
    """The shapes of the variables of ``model`` that Muon updates."""
    optimizer = make_optimizer(Recipe("cnn", optimizer="muon"), 0.01, model)
    variables = model.trainable_variables
    optimizer.build(variables)
    return [
        tuple(variable.shape)
        for variable in variables
        if optimizer.adam_velocities[optimizer._get_variable_index(variable)] is None
    ]


@pytest.mark.parametrize(
    ("name", "widths", "expected"),
    [
        ("dense", (16, 8), [(784, 16), (16, 8)]),
        ("fast", (4, 6, 8), [(3, 3, 4, 6), (600, 8)]),
        ("cnn", (4, 6, 8), [(3, 3, 4, 6)]),
    ],
)
def test_adamw_updates_the_logits_layer(
    name: str, widths: tuple[int, ...], expected: list[tuple[int, ...]]
) -> None:
    k = keras()
    body = build(name, {"widths": widths}, rows=100, batch_size=10)
    images = k.Input((28, 28, 1))
    shapes = updated_by_muon(k.Model(images, body(images)))
    assert (widths[-1], 10) not in shapes
    assert all(shape in shapes for shape in expected[:1]), shapes
    assert all(len(shape) in (2, 4) for shape in shapes)


def test_logits_layer_is_recognized_by_its_place_not_its_name() -> None:
    k = keras()
    images = k.Input((28, 28, 1))
    x = k.layers.Dense(12, name="out_hidden")(k.layers.Flatten()(images))
    probabilities = k.layers.Softmax()(k.layers.Dense(10, name="scores")(x))
    assert updated_by_muon(k.Model(images, probabilities)) == [(784, 12)]
