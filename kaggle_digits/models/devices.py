"""What Keras computes on, and what follows from it: precision, XLA, how much at once.

A GPU is where a batch is worked off faster than Python hands out the next: there steps are
compiled by XLA and handed out sixteen at a time, predictions go in larger batches, and layers
compute in 16 bits where the card has units for it. On a processor nothing of that helps, and the
figures published for the recipes were measured without. The training batch is the recipe's
everywhere: its learning rate and its accuracy belong to it.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Any

from kaggle_digits.core.environment import backend_name, usable_cores
from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.backend import keras

PRECISION = "KD_PRECISION"
PRECISIONS = ("float32", "bfloat16", "float16")
# Compute capabilities: units for products in float16 from 7.0 on (V100, T4), for bfloat16, whose
# range is that of float32, from 8.0 on (A100, L4). Older ones (P100) gain too little to risk it.
HAS_FLOAT16, HAS_BFLOAT16 = (7, 0), (8, 0)
# Measured on a CPU from 50 to 2,000: from 400 on nothing gets faster, only larger (24 filters at
# 28 × 28 are 38 MB). A GPU has room, and each batch costs it a start.
ROWS_ON_CPU, ROWS_ON_GPU = 500, 4_000


@cache
def first_gpu() -> Any:
    """The backend's own object for the GPU that Keras uses, or None where it uses none."""
    keras()
    if backend_name() == "jax":
        import jax

        return jax.devices()[0] if jax.default_backend() == "gpu" else None
    if backend_name() == "tensorflow":
        import tensorflow as tf

        return next(iter(tf.config.list_physical_devices("GPU")), None)
    return None


def capability() -> tuple[int, int] | None:
    """The NVIDIA compute capability of that GPU; None where there is none or it does not say."""
    gpu = first_gpu()
    if gpu is None:
        return None
    if backend_name() == "jax":
        said = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(gpu, "compute_capability", "")))
        return (int(said[1]), int(said[2])) if said else None
    import tensorflow as tf

    major_minor: tuple[int, int] | None = tf.config.experimental.get_device_details(gpu).get(
        "compute_capability"
    )
    return major_minor


def precision() -> str:
    """What layers compute in while they are trained: float32, bfloat16 or float16.

    KD_PRECISION decides; else float32 on a processor, and on a GPU the fastest it has units for.
    Weights, and whatever is predicted or saved, are float32 always.

    Raises:
        UsageError: KD_PRECISION is none of these.
    """
    asked = os.environ.get(PRECISION)
    if asked:
        if asked not in PRECISIONS:
            raise UsageError(f"{PRECISION}={asked} is unknown; one of: {', '.join(PRECISIONS)}")
        return asked
    found = capability()
    if found is None or found < HAS_FLOAT16:
        return "float32"
    return "bfloat16" if found >= HAS_BFLOAT16 else "float16"


def compiled() -> bool:
    """Whether XLA compiles training steps.

    JAX is slow without. TensorFlow's own kernels are 4 to 9 times faster than XLA's on a processor.
    """
    return backend_name() == "jax" or first_gpu() is not None


def rows_at_once() -> int:
    """Images in a batch that is predicted."""
    return ROWS_ON_CPU if first_gpu() is None else ROWS_ON_GPU


def batches_at_a_time() -> int:
    """Two where several cores share each batch: one is worked on while the other waits for them."""
    shared = usable_cores() > 1 and os.environ.get("TF_NUM_INTRAOP_THREADS") != "1"
    return 2 if shared and backend_name() == "tensorflow" and first_gpu() is None else 1
