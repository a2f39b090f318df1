"""Describe the hardware and software that a result was computed with, and the limits on both.

A container or a batch system may allow fewer cores and less memory than the machine has: by the
CPU affinity, or by the limits of a control group (cgroup), version 1 or 2.
"""

import contextlib
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.core.errors import StorageError
from kaggle_digits.core.platforms import working_folder
from kaggle_digits.core.text import plural

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# TensorFlow's two thread pools and the libraries behind numpy read these when they are loaded.
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)
# Keras backend → packages of which one provides the CUDA libraries.
CUDA_PACKAGES = {
    "tensorflow": ("nvidia-cudnn-cu12",),
    "jax": ("jax-cuda12-plugin", "jax-cuda13-plugin"),
}
PACKAGES = ["tensorflow", "keras", "scikit-learn", "numpy", "pandas", "kaggle"]


def cache_folder() -> Path:
    """Return the user's folder for files that can be produced or downloaded again."""
    base = os.environ.get("XDG_CACHE_HOME") or (working_folder() or Path.home()) / ".cache"
    return Path(base, "kaggle-digits")


def hardware() -> dict[str, Any]:
    """Return processor, usable cores and memory in GB, operating system and, if any, GPUs."""
    result = {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gb": round(memory()[0] / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if names := gpus():
        result["gpu"] = "; ".join(names)
    return result


def device(machine: Mapping[str, Any]) -> str:
    """Return what computes on the machine that ``hardware`` described: its first GPU or the cores.

    For example ``1 × NVIDIA H100 80GB HBM3`` or ``2 cores``.
    """
    if gpu := machine.get("gpu"):
        return f"1 × {gpu.partition(',')[0]}"
    cores = machine.get("cores")
    return plural(cores, "core") if isinstance(cores, int) else "? cores"


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


def versions() -> dict[str, str]:
    """Return the versions of Python and the main packages and the name of Keras' backend."""
    backend = backend_name()
    packages = [*PACKAGES, "jax"] if backend == "jax" else PACKAGES
    result = {"python": platform.python_version(), "kaggle-digits": __version__, "backend": backend}
    return result | {package: installed_version(package) or "missing" for package in packages}


def backend_name() -> str:
    """Return Keras' backend: KERAS_BACKEND, that of the Keras in this process, or tensorflow."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    config = getattr(sys.modules.get("keras"), "config", None)
    return str(config.backend()) if config else "tensorflow"


def choose_jax_on_gpu() -> bool:
    """Set KERAS_BACKEND to jax, the faster one on a GPU, unless it or Keras is already chosen.

    Return whether it was set: only if there is an NVIDIA GPU and JAX is installed with CUDA.
    """
    chosen = os.environ.get("KERAS_BACKEND") or "keras" in sys.modules
    if chosen or not any(map(installed_version, CUDA_PACKAGES["jax"])) or not gpus():
        return False
    os.environ["KERAS_BACKEND"] = "jax"
    return True


def usable_cores() -> int:
    """Return the number of cores that this process may use, by its affinity and its cgroups."""
    return math.ceil(min(_schedulable_cores(), _cgroup_cores()))


@cache  # a container's limit is read once, because every prediction asks for it
def _cgroup_cores() -> float:
    """Return the cores that the cgroups of this process allow, such as 1.5; infinity: all."""
    cores = math.inf
    for folder in _cgroup_folders():
        version1 = _words(folder, "cpu.cfs_quota_us", "cpu.cfs_period_us")
        match _words(folder, "cpu.max") or version1:
            case [quota, period] if quota not in ("max", "-1"):
                cores = min(cores, int(quota) / int(period))
    return cores


def limit_threads_to_cgroup() -> None:
    """Set THREAD_VARIABLES, unless they are set, to the cores that this process's cgroups allow.

    The libraries count the cores of the affinity; more threads than the cgroup has cores wait for
    one another.
    """
    if (cores := usable_cores()) < _schedulable_cores():
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, str(cores))


def memory() -> tuple[int, int]:
    """Return the memory that this process may use and how much of it is free, in bytes."""
    import psutil

    machine = psutil.virtual_memory()
    total, free = machine.total, machine.available
    for folder in _cgroup_folders():
        version1 = _words(folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
        match _words(folder, "memory.max", "memory.current") or version1:
            case [limit, used] if limit != "max":
                stat = _words(folder, "memory.stat")
                numbers = dict(zip(stat[::2], stat[1::2], strict=False))
                # Cached files count as used, but can be freed.
                cache = numbers.get("total_inactive_file", numbers.get("inactive_file", 0))
                total = min(total, int(limit))
                free = max(0, min(free, int(limit) - int(used) + int(cache)))
    return total, free


def out_of_memory(error: BaseException) -> str | None:
    """Return the message for an error of Python, TensorFlow or JAX that says memory ran out."""
    is_full = type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error)
    if not (isinstance(error, MemoryError) or is_full):
        return None
    total, free = (number / 2**30 for number in memory())
    return (
        f"out of memory: {free:.1f} of {total:.1f} GB are free; close other programs, allow this "
        "one more memory (ulimit -v, container), or train a smaller model"
    )


def peak_memory_mb() -> float | None:
    """Return the peak memory of this process so far, in MB; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def git_commit() -> str | None:
    """Return the git commit of this package; None if it was not installed from a checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    # Without locks, because a killed git would leave one in the user's repository; git describe
    # --dirty takes one in any case.
    git = ["git", "-C", str(checkout), "--no-optional-locks"]
    commit = _output([*git, "describe", "--always", "--abbrev=12"]).strip()
    changed = _output([*git, "status", "--porcelain", "--untracked-files=no"])
    return commit + "-dirty" * bool(changed) or None


def _schedulable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_folders() -> list[Path]:
    """Return the folders of this process's cgroups and of those around them, of both versions."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):  # "" in version 2
            root = CGROUPS / controller
            own = root / path.lstrip("/")
            folders += [one for one in (own, *own.parents) if one.is_relative_to(root)]
    return folders


def _words(folder: Path, *names: str) -> list[str]:
    """Return the words of files of a cgroup; none of a missing one."""
    words: list[str] = []
    for name in names:
        with contextlib.suppress(OSError):
            words += (folder / name).read_text(encoding="ascii").split()
    return words


def _output(command: list[str]) -> str:
    """Return what ``command`` prints; nothing if it fails or takes more than 10 seconds."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def installed_version(package: str) -> str | None:
    """Return the version of a distribution; None if it is not installed.

    ``tensorflow-cpu`` has the same modules as ``tensorflow`` and may replace it.
    """
    for name in (package, "tensorflow-cpu") if package == "tensorflow" else (package,):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
