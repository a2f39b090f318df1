"""Keep the settings of other tools from changing what kd computes, draws or prints.

A notebook, an image or a shell profile sets them for something else: they would end a training
after one epoch, change the last bits of a prediction or make an import fail.
"""

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
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


@contextlib.contextmanager
def variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables while the block runs; None removes one."""
    before = {name: os.environ.get(name) for name in values}
    _set_variables(values)
    try:
        yield
    finally:
        _set_variables(before)


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


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
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.CRITICAL)  # no warnings about a matplotlibrc that is not used
    # The MPLBACKEND of a notebook may not be installed here.
    with variables({"MPLBACKEND": None}):
        try:
            mpl = importlib.import_module("matplotlib")
        except (OSError, ValueError):  # a matplotlibrc that cannot be read
            for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
                del sys.modules[name]
            # matplotlib looks for the file in the working folder first.
            with variables({"MATPLOTLIBRC": os.devnull}), contextlib.chdir(Path(__file__).parent):
                mpl = importlib.import_module("matplotlib")
        finally:
            log.setLevel(level)
    if backend := os.environ.get("MPLBACKEND"):  # for plots of the program that uses this package
        with contextlib.suppress(ValueError):
            mpl.rcParams["backend"] = backend
    return mpl
