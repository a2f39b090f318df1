"""Keras and its backend, imported without the noise, made repeatable.

No variable silences TensorFlow 2.21: its start-up lines are written by C++ straight to file
descriptor 2. So the descriptor is held aside around the import and the first look for devices,
and what was written is given back if the import fails.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import ModelError

# What Keras can train with, and how each is had. TensorFlow is what we promise, JAX what we test.
BACKENDS = {
    "tensorflow": "pip install --force-reinstall tensorflow keras",
    "jax": "pip install 'kaggle-digits[jax]'",
    "torch": "pip install torch, or leave it: only tensorflow and jax are promised",
}


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
        with quiet_start(), _without_jax() if name == "tensorflow" else nullcontext():
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


def start_anew(seed: int) -> None:
    """Forget earlier models and set the seed of first weights and dropout."""
    k = keras()
    k.backend.clear_session()
    if backend_name() == "tensorflow":
        _forget_gradients()
    with quiet_start():  # under JAX too, Keras imports TensorFlow here, and to save a model
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
def quiet_start() -> Iterator[None]:
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
