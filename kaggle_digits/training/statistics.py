"""Forward passes for what they leave in a network: the statistics of batch normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name


def pass_through(model: Any, batches: Iterable[NDArray[np.uint8]]) -> None:
    """Show ``model`` each batch as in training, and keep what its layers note of it.

    Args:
        model: uint8 (n, 28, 28) → anything.
        batches: all of one size; under JAX each size is compiled anew.
    """
    if backend_name() != "jax":
        for batch in batches:
            model(batch, training=True)
        return
    import jax

    def noted(trainable: Any, fixed: Any, images: Any) -> Any:
        return model.stateless_call(trainable, fixed, images, training=True)[1]

    compiled = jax.jit(noted)  # one operation at a time would take twenty times as long
    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    for batch in batches:
        fixed = compiled(trainable, fixed, batch)
    for variable, value in zip(model.non_trainable_variables, fixed, strict=True):
        variable.assign(value)
