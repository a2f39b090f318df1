"""Keep the settings of other tools from changing what kd computes, draws or prints.

A notebook, an image or a shell profile sets them for something else: they would end a training
after one epoch, change the last bits of a prediction or make an import fail.
"""

import contextlib
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

IGNORED_PREFIXES = (
    *("DNNL_", "JAX_", "KERAS_", "MATPLOTLIBRC", "NVIDIA_TF32_OVERRIDE", "ONEDNN_"),
    *("PANDAS_", "SCIPY_", "SKLEARN_", "TF2_", "TF_", "XLA_"),
)
# The backend, the device, memory, threads and folders: they are needed to run at all, or a user
# chose them for kd. docs/settings.md lists them.
HONOURED_PREFIXES = (
    *("JAX_COMPILATION_CACHE_DIR", "JAX_PLATFORMS", "KERAS_BACKEND", "KERAS_HOME"),
    *("TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR", "TF_NUM_", "XLA_PYTHON_CLIENT_"),
)
XLA_FLAGS, CUDA_FOLDER_FLAG = "XLA_FLAGS", "--xla_gpu_cuda_data_dir="


def ignore_variables() -> None:
    """Remove the variables of other tools from this process and those that it starts.

    Call it before the tool is imported: most read their variables only then.
    """
    xla_flags = [
        flag for flag in os.environ.get(XLA_FLAGS, "").split() if flag.startswith(CUDA_FOLDER_FLAG)
    ]
    for name in list(os.environ):
        if name.startswith(IGNORED_PREFIXES) and not name.startswith(HONOURED_PREFIXES):
            del os.environ[name]
    if xla_flags:  # where XLA finds CUDA's libdevice
        os.environ[XLA_FLAGS] = " ".join(xla_flags)


def import_matplotlib() -> Any:
    """Import matplotlib, also if the user's MPLBACKEND or matplotlibrc makes the import fail."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop("MPLBACKEND", None)  # that of a notebook may not be installed here
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.CRITICAL)  # no warnings about a matplotlibrc that is not used
    try:
        try:
            mpl = importlib.import_module("matplotlib")
        except (OSError, ValueError):  # a matplotlibrc that cannot be read
            mpl = _import_without_matplotlibrc()
    finally:
        log.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:  # for plots of the program that uses this package
        with contextlib.suppress(ValueError):
            mpl.rcParams["backend"] = backend
    return mpl


def _import_without_matplotlibrc() -> Any:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        del sys.modules[name]
    file = os.environ.get("MATPLOTLIBRC")
    os.environ["MATPLOTLIBRC"] = os.devnull
    try:
        with contextlib.chdir(
            Path(__file__).parent
        ):  # matplotlib looks in the working folder first
            return importlib.import_module("matplotlib")
    finally:
        del os.environ["MATPLOTLIBRC"]
        if file is not None:
            os.environ["MATPLOTLIBRC"] = file
