"""Muon for convolutions.

Keras' own Muon orthogonalises the updates of two-dimensional weights only, which in a
convolutional network leaves everything but a dense layer to AdamW. Here a kernel (height, width,
in, out) is taken as the matrix (height × width × in, out), as in Jordan et al. 2024 ("Muon: an
optimizer for hidden layers") and the airbench recipes.
"""

from __future__ import annotations

from typing import Any

from kaggle_digits.models.engine import keras

CONVOLUTION = 4


def conv_muon(learning_rate: Any, *, weight_decay: float, **options: Any) -> Any:
    """A Keras optimiser: Muon on hidden matrices and kernels, AdamW on all else.

    AdamW also keeps the first kernel (one channel in: few rows) and layers named ``out…``.

    Args:
        learning_rate: a float or a Keras schedule.
        weight_decay: share of each weight taken off a step and learning rate.
        options: of keras.optimizers.Muon, such as use_ema.
    """
    k = keras()
    ops = k.ops

    class ConvMuon(keras().optimizers.Muon):  # type: ignore[misc]
        """See conv_muon."""

        def _should_use_adamw(self, variable: Any) -> bool:
            if len(variable.shape) == CONVOLUTION:
                return bool(variable.shape[2] == 1)
            return bool(super()._should_use_adamw(variable))

        def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
            self.assign_add(m, gradient + m * (self.momentum - 1))
            ahead = gradient + self.momentum * m if self.nesterov else m
            matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
            update = self.zeropower_via_newtonschulz5(matrix, self.ns_steps)
            step = self.lr_adjust(lr * update)
            self.assign_sub(variable, ops.reshape(step, variable.shape))

    return ConvMuon(
        learning_rate,
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        exclude_layers=["out"],
        **options,
    )
