"""Keras and its backend: quiet and repeatable import, device, precision, batch sizes.

On a GPU, Python dispatch is the bottleneck: training steps are compiled by XLA, predictions use
larger batches, and layers compute in 16 bits if the card supports it. On a CPU none of this
helps. The training batch size belongs to the recipe and is the same on every device.
"""

import gc
import importlib
import logging
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from typing import Any

import numpy as np

from kaggle_digits.core import library_settings, progress
from kaggle_digits.core.advice import unset_variable
from kaggle_digits.core.environment import backend_name, cache_folder, usable_cores
from kaggle_digits.core.errors import ModelError, UsageError, one_line
from kaggle_digits.core.extras import install_packages, require

# Backend → how to install it. TensorFlow is supported, JAX is tested, PyTorch is neither.
BACKENDS: dict[str, Callable[[], str]] = {
    "tensorflow": lambda: install_packages("--force-reinstall", "tensorflow", "keras"),
    "jax": lambda: install_packages("--force-reinstall", "jax", "jaxlib"),
    "torch": lambda: "pip install torch (but only tensorflow and jax are supported)",
}
LABELS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
PRECISION = "KD_PRECISION"
PRECISIONS = ("float32", "bfloat16", "float16")
# Compute capabilities with float16 tensor cores (V100, T4), and with bfloat16, which has the range
# of float32 (A100, L4). Older cards (P100) gain too little.
FLOAT16_CAPABILITY, BFLOAT16_CAPABILITY = (7, 0), (8, 0)
# Measured on a CPU from 50 to 2,000: above 400 the speed is constant and only memory grows (24
# filters at 28 × 28 take 38 MB). On a GPU each batch costs a kernel launch.
CPU_BATCH_SIZE, GPU_BATCH_SIZE = 500, 4_000


def keras() -> Any:
    """Return Keras, imported silently and deterministic on a CPU; ModelError if impossible.

    Its floatx, epsilon, image data format and dtype policy are Keras' defaults, whatever keras.json
    or the program that uses this package has set.
    """
    module = _import_keras()
    config = module.config
    config.set_floatx("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    if config.dtype_policy().name != "float32":
        config.set_dtype_policy("float32")
    return module


def check_installed() -> None:
    """Raise UsageError if TensorFlow, or JAX if KERAS_BACKEND chooses it, is not installed."""
    if backend_name() == "jax":
        require("KERAS_BACKEND=jax", "jax", extra="jax")
    elif backend_name() == "tensorflow":
        require("every model except linear and mlp", "tensorflow")


@cache
def _import_keras() -> Any:
    name = backend_name()
    if name not in BACKENDS:
        choice = "KERAS_BACKEND=tensorflow (the default) or KERAS_BACKEND=jax"
        raise ModelError(f"Keras' backend {name!r} cannot train; choose another: {choice}")
    check_installed()
    if name not in sys.modules:
        progress.note(f"loading {LABELS[name]} …")
    library_settings.import_matplotlib()  # Keras imports it
    try:
        with importing_keras(), _without_jax() if name == "tensorflow" else nullcontext():
            importlib.import_module(name)
            import keras as module

            if name == "jax":
                _start_jax()
            elif name == "tensorflow":
                import tensorflow as tf

                if not os.environ.get("KD_DEBUG"):
                    for logger in (tf.get_logger(), logging.getLogger("absl")):
                        logger.setLevel("ERROR")
                # No measurable cost on a CPU; on a GPU some operations would raise errors.
                if not tf.config.list_physical_devices("GPU"):
                    tf.config.experimental.enable_op_determinism()
                    # Determinism requires a seed; each training sets its own.
                    module.utils.set_random_seed(0)
    except ImportError as error:
        package = "Keras" if name == "tensorflow" else f"Keras' backend {name}"
        message = f"{package} cannot be imported ({error}); install it: {BACKENDS[name]()}"
        raise ModelError(message) from error
    if (loaded := module.config.backend()) != name:
        raise ModelError(
            f"Keras was imported with the backend {loaded} before, but kaggle-digits uses {name}; "
            f"set KERAS_BACKEND={name} before Keras is imported"
        )
    return module


@contextmanager
def importing_keras() -> Iterator[None]:
    """Import Keras, or a module of the user's that may: silently, without other tools' settings."""
    if backend_name() not in sys.modules:  # otherwise who imported it has chosen its settings
        library_settings.ignore_variables()
    with suppress_native_stderr(), _without_keras_json(), without_garbage_collection():
        yield


def _start_jax() -> None:
    import jax

    try:
        jax.devices()  # prints its messages at the first call
    except RuntimeError as error:
        remedy = unset_variable("JAX_PLATFORMS")
        raise ModelError(f"JAX cannot start ({one_line(error)}); {remedy}") from error
    if jax.default_backend() == "gpu" and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Compiling takes longer than training; the next process finds all of it there, also the
        # sixty small operations that build a network.
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@contextmanager
def _without_keras_json() -> Iterator[None]:
    """Keep Keras from reading keras.json while it is imported: a wrong value there is an error."""
    if "keras" in sys.modules:
        yield
        return
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111
    try:
        with library_settings.variables({"KERAS_HOME": os.devnull}):
            yield
    finally:
        if config := sys.modules.get("keras.src.backend.config"):
            # Files that a user's model downloads are stored there.
            config._KERAS_DIR = home  # type: ignore[attr-defined]


def reset_session(seed: int, *, keep_graphs: bool = False) -> None:
    """Free the graphs of earlier models and seed the initial weights and dropout.

    ``keep_graphs`` keeps those of TensorFlow ready to run. This is for this project's networks
    only, because TensorFlow's own random operations are not seeded then.
    """
    k = keras()
    if keep_graphs and backend_name() == "tensorflow":
        # Keras' clear_session and tf.random.set_seed both discard what TensorFlow prepared to run
        # the graphs, which takes half a second to do again.
        random.seed(seed)
        np.random.seed(seed)
        return
    k.backend.clear_session()
    if backend_name() == "tensorflow":
        from tensorflow.python.framework import ops

        # TensorFlow registers each custom_gradient once per traced graph and never removes it,
        # which keeps the graph alive: some MB per training.
        registry = getattr(ops.gradient_registry, "_registry", {})
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]
    with without_tensorflow():
        k.utils.set_random_seed(seed)


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Keep Keras on JAX from importing TensorFlow, which takes 3 s.

    Keras would do so to set TensorFlow's seed, too, and to look for its types in a model to save.
    """
    if backend_name() != "jax":
        yield
        return
    if "tensorflow" in sys.modules:
        import_tensorflow_beside_jax()
        yield
        return
    lazy = importlib.import_module("keras.src.utils.module_utils").tensorflow
    lazy._available = False
    try:
        yield
    finally:
        lazy._available = None


@cache
def import_tensorflow_beside_jax() -> None:
    """Import TensorFlow silently, without a GPU: JAX has its memory."""
    with suppress_native_stderr(), without_garbage_collection():
        import tensorflow as tf

        with suppress(RuntimeError):  # it has started before
            tf.config.set_visible_devices([], "GPU")


@contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Hide what C++ code, such as TensorFlow's on import, writes to file descriptor 2.

    No environment variable silences TensorFlow 2.21. If the block fails, the text is printed;
    KD_DEBUG disables the redirection.
    """
    if os.environ.get("KD_DEBUG"):
        yield
        return
    # Respected by later messages, such as those of the graph rewriter.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except (KeyboardInterrupt, ModelError):  # a ModelError explains itself
            raise
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def _without_jax() -> Iterator[None]:
    """Keep TensorFlow's LiteRT converter from importing JAX, which takes 0.5 s and 100 MB."""
    if "jax" in sys.modules:  # imported by the user
        yield
        return
    sys.modules["jax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["jax"]


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep Python from looking for garbage in imports, which takes a sixth of their time.

    The imports leave half a million permanent objects. Later collections would traverse them for
    0.2 s, and Keras collects before each training; so they are left out of these, too.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


@cache
def first_gpu() -> Any:
    """Return the backend's device object of the GPU that Keras uses; None without a GPU."""
    keras()
    if backend_name() == "jax":
        import jax

        return jax.devices()[0] if jax.default_backend() == "gpu" else None
    if backend_name() == "tensorflow":
        import tensorflow as tf

        return next(iter(tf.config.list_physical_devices("GPU")), None)
    return None


def compute_capability() -> tuple[int, int] | None:
    """Return the NVIDIA compute capability of that GPU; None if there is none or it is unknown."""
    gpu = first_gpu()
    if gpu is None:
        return None
    if backend_name() == "jax":
        match = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(gpu, "compute_capability", "")))
        return (int(match[1]), int(match[2])) if match else None
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability")  # type: ignore[no-any-return]


def precision() -> str:
    """Return the dtype that layers compute in during training, one of PRECISIONS.

    KD_PRECISION decides; UsageError for an unknown value. By default it is float32 on a CPU, and
    the fastest supported type on a GPU. Weights, predictions and saved models are always float32.
    """
    setting = os.environ.get(PRECISION)
    if setting in PRECISIONS:
        return setting
    if setting:
        raise UsageError(f"{PRECISION}={setting} is unknown; one of: {', '.join(PRECISIONS)}")
    capability = compute_capability()
    if capability is None or capability < FLOAT16_CAPABILITY:
        return "float32"
    return "bfloat16" if capability >= BFLOAT16_CAPABILITY else "float16"


def use_jit() -> bool:
    """Whether XLA compiles training steps; on a CPU, TensorFlow is 4 to 9 times faster without."""
    return backend_name() == "jax" or first_gpu() is not None


def predict_batch_size() -> int:
    """Return the number of images per prediction batch."""
    return CPU_BATCH_SIZE if first_gpu() is None else GPU_BATCH_SIZE


def predict_workers() -> int:
    """Return how many batches to predict in parallel.

    Two if several CPU cores share each batch: one batch keeps them busy while the other waits.
    """
    shared = usable_cores() > 1 and os.environ.get("TF_NUM_INTRAOP_THREADS") != "1"
    return 2 if shared and backend_name() == "tensorflow" and first_gpu() is None else 1
