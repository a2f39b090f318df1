"""Train in 16 bits, keep and predict in float32.

As in Micikevicius et al. 2018 ("Mixed precision training"): weights are kept in float32, matrix
products are computed in 16 bits, and with float16, whose range is short, the loss is scaled up and
the gradients down again. The layers' dtype policies are changed for one epoch at a time, so the
model that is validated, predicted with, saved or exported is an ordinary float32 model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import NORMALIZATION_LAYER, flat_layers


def with_loss_scaling(optimizer: Any, precision: str) -> Any:
    """Wrap the optimizer in dynamic loss scaling if ``precision`` is float16."""
    if precision != "float16":
        return optimizer
    return keras().optimizers.LossScaleOptimizer(optimizer)


@contextmanager
def autocast(model: Any, precision: str) -> Iterator[None]:
    """Compute the hidden layers of ``model``, which returns logits, in ``precision``.

    Augmentation, normalization, the logits layer, the loss and the metrics stay in float32. Batch
    normalization computes its moments in float32 by itself.
    """
    layers = []
    if precision != "float32":
        names = [layer.name for layer in model.layers]
        after = model.layers[names.index(NORMALIZATION_LAYER) + 1 :]
        *hidden, _logits = [inner for layer in after for inner in flat_layers(layer)]
        layers = [layer for layer in hidden if layer.dtype_policy.name == "float32"]
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = f"mixed_{precision}"
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy
