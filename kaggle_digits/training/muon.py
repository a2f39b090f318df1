"""The Muon optimizer, extended to convolution kernels.

Keras' Muon orthogonalizes the updates of two-dimensional weights only and leaves convolution
kernels to AdamW. Here a kernel (height, width, in, out) is handled as the matrix
(height × width × in, out), as in Jordan et al. 2024 ("Muon: an optimizer for hidden layers") and in
the airbench recipes.
"""

from collections.abc import Collection
from typing import Any

from kaggle_digits.models.backend import keras

# Keras' value; avoids dividing a zero gradient by 0.
NORM_EPSILON = 1e-7


def conv_muon(
    learning_rate: Any, *, weight_decay: float, exclude: Collection[Any] = (), **options: Any
) -> Any:
    """Return a Keras optimizer: Muon for hidden matrices and kernels, AdamW for everything else.

    AdamW updates the variables in ``exclude``, for a classifier those of the logits layer, and
    kernels with one input channel, which have too few rows to orthogonalize.
    """
    ops = keras().ops
    excluded = {id(variable) for variable in exclude}

    class ConvMuon(keras().optimizers.Muon):  # type: ignore[misc]
        """Muon with kernels as matrices; overrides two private methods of Keras."""

        def _should_use_adamw(self, variable: Any) -> bool:
            if id(variable) in excluded:
                return True
            if len(variable.shape) == 4:  # a convolution kernel
                return bool(variable.shape[2] == 1)
            return bool(super()._should_use_adamw(variable))

        def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
            self.assign_add(m, gradient + m * (self.momentum - 1))
            direction = gradient + self.momentum * m if self.nesterov else m
            matrix = ops.reshape(direction, (-1, variable.shape[-1]))
            update = newton_schulz(matrix, (self.muon_a, self.muon_b, self.muon_c), self.ns_steps)
            step = self.lr_adjust(lr * update)
            self.assign_sub(variable, ops.reshape(step, variable.shape))

    return ConvMuon(
        learning_rate, weight_decay=weight_decay, adam_weight_decay=weight_decay, **options
    )


def newton_schulz(matrix: Any, coefficients: tuple[float, float, float], steps: int) -> Any:
    """Return (n, m) float32 with the same singular vectors and singular values near 1.

    A step of Keras' Newton–Schulz iteration, X ↦ (a + b XXᵀ + c (XXᵀ)²) X, multiplies X by a
    polynomial of XXᵀ. All steps together are one polynomial of the first XXᵀ, so they are computed
    on (n, n) matrices before X is multiplied once: a quarter of the time if m is many times n. The
    results agree within 1e-6 (2e-5 if m = n). Either side may be the longer; ``coefficients`` are
    a, b, c (Jordan et al. 2024), and ``steps`` is at least 1.
    """
    ops = keras().ops
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix / (ops.norm(matrix) + NORM_EPSILON)
    a, b, c = coefficients
    gram = ops.matmul(ops.transpose(x), x) if tall else ops.matmul(x, ops.transpose(x))
    identity = a * ops.eye(min(matrix.shape))
    product = None
    for step in range(steps):
        factor = identity + b * gram + c * ops.matmul(gram, gram)
        product = factor if product is None else ops.matmul(factor, product)
        if step + 1 < steps:
            gram = ops.matmul(ops.matmul(factor, gram), factor)
    return ops.matmul(x, product) if tall else ops.matmul(product, x)
