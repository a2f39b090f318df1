"""Keras and its backend, imported without the noise, made repeatable.

No variable silences TensorFlow 2.21: its start-up lines are written by C++ straight to file
descriptor 2. So the descriptor is held aside around the import and the first look for devices,
and what was written is given back if the import fails.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

from kaggle_digits.core.environment import backend_name, usable_cores
from kaggle_digits.core.errors import ModelError, UsageError

# What Keras can train with, and how each is had. TensorFlow is what we promise, JAX what we test.
BACKENDS = {
    "tensorflow": "pip install --force-reinstall tensorflow keras",
    "jax": "pip install 'kaggle-digits[jax]'",
    "torch": "pip install torch, or leave it: only tensorflow and jax are promised",
}
PRECISION = "KD_PRECISION"
PRECISIONS = ("float32", "bfloat16", "float16")
# Compute capabilities: units for products in float16 from 7.0 on (V100, T4), for bfloat16, whose
# range is that of float32, from 8.0 on (A100, L4). Older ones (P100) gain too little to risk it.
HAS_FLOAT16, HAS_BFLOAT16 = (7, 0), (8, 0)
# Measured on a CPU from 50 to 2,000: from 400 on nothing gets faster, only larger (24 filters at
# 28 × 28 are 38 MB). A GPU has room, and each batch costs it a start.
CPU_BATCH_SIZE, GPU_BATCH_SIZE = 500, 4_000


@cache
def keras() -> Any:
    """The keras module, its backend ready: quiet, and repeatable on a CPU.

    Raises:
        ModelError: Keras or its backend cannot be imported.
    """
    name = backend_name()
    if name not in BACKENDS:
        raise ModelError(
            f"Keras' backend is {name!r}, which trains nothing; choose another: "
            "KERAS_BACKEND=tensorflow (the default) or KERAS_BACKEND=jax"
        )
    try:
        with suppress_native_stderr(), _without_jax() if name == "tensorflow" else nullcontext():
            importlib.import_module(name)
            import keras as module

            if name == "jax":
                import jax

                jax.devices()  # the first look for them
            elif name == "tensorflow":
                import tensorflow as tf

                if not os.environ.get("KD_DEBUG"):
                    tf.get_logger().setLevel("ERROR")
                # Costs nothing measurable on a CPU; on a GPU some operations would be refused.
                if not tf.config.list_physical_devices("GPU"):
                    tf.config.experimental.enable_op_determinism()
                    module.utils.set_random_seed(0)  # which then must be set; fits set their own
    except ImportError as error:
        what = "Keras" if name == "tensorflow" else f"Keras' backend {name}"
        raise ModelError(
            f"{what} cannot be imported ({error}); install it: {BACKENDS[name]}"
        ) from error
    # Half a million objects that stay: each look for garbage among them takes 0.2 s, and Keras
    # looks before each training.
    gc.freeze()
    return module


@contextmanager
def _without_jax() -> Iterator[None]:
    """Import TensorFlow without JAX, where that is installed.

    TensorFlow Lite takes one function from it for a converter that nobody here asks for: half a
    second and 100 MB in each process.
    """
    if "jax" in sys.modules:  # somebody wants it
        yield
        return
    sys.modules["jax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["jax"]


def reset_session(seed: int) -> None:
    """Forget earlier models and set the seed of first weights and dropout."""
    k = keras()
    k.backend.clear_session()
    if backend_name() == "tensorflow":
        _forget_gradients()
    with (
        suppress_native_stderr()
    ):  # under JAX too, Keras imports TensorFlow here, and to save a model
        k.utils.set_random_seed(seed)


def _forget_gradients() -> None:
    """Let go of the graphs of earlier trainings.

    TensorFlow registers the gradient of each operation that has one of its own (custom_gradient) in
    each graph it is traced in, and so keeps the graph for as long as the process lives: some MB a
    training. Nobody asks for the gradients of a model that is trained.
    """
    from tensorflow.python.framework import ops

    known = getattr(ops.gradient_registry, "_registry", {})
    for name in [name for name in known if name.startswith("CustomGradient-")]:
        del known[name]


@contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Hold file descriptor 2 aside while TensorFlow may be imported; not under KD_DEBUG.

    What was written to it is given back if the block fails.
    """
    if os.environ.get("KD_DEBUG"):
        yield
        return
    # Later lines, such as the graph rewriter's, do go by this.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            os.write(2, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


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


def compute_capability() -> tuple[int, int] | None:
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
    found = compute_capability()
    if found is None or found < HAS_FLOAT16:
        return "float32"
    return "bfloat16" if found >= HAS_BFLOAT16 else "float16"


def use_jit() -> bool:
    """Whether XLA compiles training steps.

    JAX is slow without. TensorFlow's own kernels are 4 to 9 times faster than XLA's on a processor.
    """
    return backend_name() == "jax" or first_gpu() is not None


def predict_batch_size() -> int:
    """Images in a batch that is predicted."""
    return CPU_BATCH_SIZE if first_gpu() is None else GPU_BATCH_SIZE


def predict_workers() -> int:
    """Two where several cores share each batch: one is worked on while the other waits for them."""
    shared = usable_cores() > 1 and os.environ.get("TF_NUM_INTRAOP_THREADS") != "1"
    return 2 if shared and backend_name() == "tensorflow" and first_gpu() is None else 1
