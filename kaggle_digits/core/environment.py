"""Describe the hardware and software that a result was computed with."""

import contextlib
import os
import platform
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.core.errors import StorageError

PACKAGES = ["tensorflow", "keras", "scikit-learn", "numpy", "pandas", "kaggle"]


def hardware() -> dict[str, Any]:
    """Return processor, usable cores, memory in GB, operating system and, if any, GPUs."""
    import psutil

    result = {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if names := gpus():
        result["gpu"] = "; ".join(names)
    return result


def gpus() -> tuple[str, ...]:
    """Return name and memory of each NVIDIA GPU as the driver lists them."""
    output = _output(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return tuple(" ".join(line.split()) for line in output.splitlines() if line.strip())


def check_clock() -> None:
    """Raise StorageError if zip archives, such as model files, cannot hold the current date."""
    now = datetime.now()
    if not 1980 <= now.year < 2108:
        raise StorageError(
            f"the clock of this computer shows {now:%Y-%m-%d}, and model files can only hold the "
            "years 1980 to 2107; set the clock, then run it again"
        )


def is_installed(package: str) -> bool:
    """Return whether a distribution called ``package`` is installed."""
    return _version(package) is not None


def versions() -> dict[str, str]:
    """Return the versions of Python and the main packages and the name of Keras' backend."""
    backend = backend_name()
    packages = [*PACKAGES, "jax"] if backend == "jax" else PACKAGES
    result = {"python": platform.python_version(), "kaggle-digits": __version__, "backend": backend}
    return result | {package: _version(package) or "missing" for package in packages}


def backend_name() -> str:
    """Return Keras' backend: KERAS_BACKEND, that of the Keras in this process, or tensorflow."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    config = getattr(sys.modules.get("keras"), "config", None)
    return str(config.backend()) if config else "tensorflow"


def usable_cores() -> int:
    """Return the number of cores this process may use; in a container, fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_mb() -> int:
    """Return the memory available without swapping, in MB."""
    import psutil

    return int(psutil.virtual_memory().available // 2**20)


def peak_memory_mb() -> float | None:
    """Return the peak memory of this process so far, in MB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def git_commit() -> str | None:
    """Return the git commit of this package; None if it was not installed from a checkout."""
    folder = Path(__file__).parent
    if not (folder.parent.parent / ".git").exists():
        return None
    # Without locks, because a killed git would leave one in the user's repository.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12"]
    return _output(command, folder=folder).strip() or None


def _output(command: list[str], *, folder: Path | None = None) -> str:
    """Return what ``command`` prints; nothing if it fails or takes more than 10 seconds."""
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
