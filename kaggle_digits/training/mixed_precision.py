"""Training in 16 bits: only while an epoch runs, and only where that does no harm.

As in Micikevicius et al. 2018 ("Mixed precision training"): weights are kept in float32, products
are computed in 16 bits, and with float16, whose range is short, the loss is scaled up and the
gradients down again. A layer's policy is set for the epoch and taken back after it, so whatever is
validated, predicted, saved or exported is an ordinary model in float32, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import NORMALIZATION_LAYER, flat_layers

FULL = "float32"


def with_loss_scaling(optimizer: Any, precision: str) -> Any:
    """The optimiser, for float16 with a loss scale that finds its own size."""
    if precision != "float16":
        return optimizer
    return keras().optimizers.LossScaleOptimizer(optimizer)


@contextmanager
def autocast(model: Any, precision: str) -> Iterator[None]:
    """Layers of ``model`` compute in ``precision`` while the block runs.

    Those before and in the normalisation do not, nor does the last layer: moving images, the
    logits and all that is made of them (loss, metrics) stay float32. Batch normalisation takes its
    moments in float32 by itself.

    Args:
        model: from images to logits, as KerasClassifier puts it together.
        precision: float32 changes nothing.
    """
    layers = [] if precision == FULL else _between(model)
    kept = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = f"mixed_{precision}"
        yield
    finally:
        for layer, policy in zip(layers, kept, strict=True):
            layer.dtype_policy = policy


def _between(model: Any) -> list[Any]:
    """The layers behind the normalisation, without the last."""
    names = [layer.name for layer in model.layers]
    behind = model.layers[names.index(NORMALIZATION_LAYER) + 1 :]
    flat = [one for layer in behind for one in flat_layers(layer)]
    return [layer for layer in flat[:-1] if layer.dtype_policy.name == FULL]
