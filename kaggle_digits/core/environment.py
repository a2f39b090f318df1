"""What a figure was measured on and with: processor, memory, GPU, versions, git commit."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__

PACKAGES = ["tensorflow", "keras", "scikit-learn", "numpy", "pandas", "kaggle"]


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GB, operating system, GPUs if any."""
    import psutil

    found = {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }
    cards = gpus()
    return {**found, "gpu": "; ".join(cards)} if cards else found


def gpus() -> tuple[str, ...]:
    """Name and memory of each NVIDIA GPU, as its driver lists them; nothing heavy is imported.

    Whether Keras' backend can use them is another matter: kaggle_digits.models.backend.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        asked = subprocess.run(
            [command, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(" ".join(line.split()) for line in asked.stdout.splitlines() if line.strip())


def is_installed(package: str) -> bool:
    """Whether a distribution of that name is installed."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def backend_name() -> str:
    """Keras' backend, found as Keras finds it: KERAS_BACKEND, its own file, tensorflow."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named
    # expanduser of os.path, as Keras does: that of Path fails where there is no home
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111
    try:
        settings = json.loads((Path(home) / "keras.json").read_text(encoding="utf-8"))
        return str(settings["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def usable_cores() -> int:
    """Cores that this process may run on; fewer than the machine's in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_mb() -> int:
    """Memory that can be had without swapping, in MB."""
    import psutil

    return int(psutil.virtual_memory().available // 2**20)


def versions() -> dict[str, str]:
    """Versions of Python, this package and those that decide a figure; none is imported.

    ``backend`` is the name of Keras' backend, whose own version is among them.
    """
    backend = backend_name()
    found = {"python": platform.python_version(), "kaggle-digits": __version__, "backend": backend}
    for package in [*PACKAGES, *(["jax"] if backend == "jax" else [])]:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def git_commit() -> str | None:
    """The commit this package runs from; None where it was installed without git."""
    here = Path(__file__).parent
    if not (here.parent / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def peak_memory_mb() -> float | None:
    """Most memory this process has held so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
