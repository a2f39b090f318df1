"""Learning-rate schedules.

To add a schedule: write a function like those below, add it to ``SCHEDULES`` and its name to
``Schedule``. ``kd train --schedule NAME`` and recipe files accept it from then on.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from kaggle_digits.models.backend import keras

Schedule = Literal["onecycle", "exponential", "constant"]

# onecycle: fraction of all steps in the warm-up, and the first rate as a fraction of the peak.
WARMUP_FRACTION, INITIAL_FRACTION = 0.2, 1 / 25
# Growth of scikit-learn's batches: (fraction of the epochs done, factor), latest first.
BATCH_SIZE_FACTORS = [(0.9, 64), (0.75, 16), (0.5, 4), (0.0, 1)]


def onecycle(peak: float, epochs: int, steps_per_epoch: int) -> Any:
    """Warm up linearly from peak / 25 over the first fifth of the steps, then decay to 0.

    The decay is half a cosine: peak · ½ (1 + cos πt), t from 0 to 1 over the remaining steps
    (Smith 2018, "Super-convergence"; cosine annealing as in Loshchilov and Hutter 2017, "SGDR").
    """
    ops = keras().ops
    total = epochs * steps_per_epoch
    warmup = max(1, round(WARMUP_FRACTION * total))

    # Keras' CosineDecay has a branch and is evaluated once for each weight: tracing a training
    # step with it takes a fifth longer.
    class OneCycle(keras().optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            done = ops.cast(step, "float32")
            up = INITIAL_FRACTION + (1 - INITIAL_FRACTION) * done / warmup
            t = ops.clip((done - warmup) / max(1, total - warmup), 0.0, 1.0)
            down = 0.5 * (1 + ops.cos(np.pi * t))
            return peak * ops.minimum(up, down)

    return OneCycle()


def exponential(peak: float, epochs: int, steps_per_epoch: int) -> Any:
    """Multiply the rate by 0.95 after each epoch: peak · 0.95^epoch."""
    schedules = keras().optimizers.schedules
    return schedules.ExponentialDecay(peak, steps_per_epoch, 0.95, staircase=True)


def constant(peak: float, epochs: int, steps_per_epoch: int) -> float:
    """Keep the rate at ``peak``."""
    return peak


# Each takes the peak rate, the epochs and the steps of an epoch, and returns a Keras schedule or a
# number.
SCHEDULES: dict[Schedule, Callable[[float, int, int], Any]] = {
    "onecycle": onecycle,
    "exponential": exponential,
    "constant": constant,
}


def batch_size_factor(schedule: Schedule, progress: float) -> int:
    """Return the factor on the batch size of scikit-learn's MLP, whose learning rate is fixed.

    Growing the batch anneals the training as lowering the rate does (Smith et al. 2018, "Don't
    decay the learning rate, increase the batch size"). ``progress`` is the fraction of the epochs
    done, in [0, 1).
    """
    if schedule == "constant":
        return 1
    return next(factor for start, factor in BATCH_SIZE_FACTORS if progress >= start)
