"""kd doctor: check the installation, the machine, the Kaggle credential and the data."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits._version import __version__
from kaggle_digits.cli import console, options
from kaggle_digits.cli.kaggle_options import DEFAULT_TIMEOUT, DownloadProgress, Timeout
from kaggle_digits.core.errors import DigitsError

OK, WARNING, ERROR = "ok", "warning", "error"
MARKS = {OK: "✓", WARNING: "!", ERROR: "✗"}
PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "kaggle")
NEEDED_BYTES = 2 << 30
# Keras backend → packages of which one provides the CUDA libraries, and the extra to install.
CUDA_PACKAGES = {
    "tensorflow": (("nvidia-cudnn-cu12",), "tensorflow[and-cuda]"),
    "jax": (("jax-cuda12-plugin", "jax-cuda13-plugin"), "jax[cuda12]"),
}


@dataclass(frozen=True)
class Finding:
    """The result of one check; ``remedy`` says how to fix a warning or an error."""

    name: str
    state: str
    text: str
    remedy: str = ""


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not connect to Kaggle.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
    data_dir: options.DataDir = options.DATA,
    as_json: options.AsJson = False,
) -> None:
    """Check versions, device, credential, data and disk, and say how to fix problems."""
    findings = [
        *_check_versions(),
        _guarded("processor", _check_processor),
        _guarded("backend", _check_backend),
        _guarded("GPU", _check_gpu),
        *_check_kaggle(offline=offline, timeout=timeout),
        _guarded("data", lambda: _check_data(data_dir)),
        _guarded("disk", lambda: _check_disk(data_dir)),
    ]
    healthy = all(finding.state != ERROR for finding in findings)
    if as_json:
        console.print_json({"healthy": healthy, "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            console.echo(f"{MARKS[finding.state]} {finding.name}: {finding.text}")
            if finding.remedy:
                console.echo(f"    → {finding.remedy}")
    if not healthy:
        raise typer.Exit(1)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; if it raises, the exception becomes its finding."""
    try:
        return check()
    except DigitsError as error:
        return _warning(name, error)
    except Exception as error:
        reason = console.redact(f"{type(error).__name__}: {error}")
        return Finding(name, WARNING, f"check failed ({reason})")


def _warning(name: str, error: DigitsError) -> Finding:
    """Split the message of ``error`` at its semicolon into the problem and the remedy."""
    problem, _, remedy = console.redact(str(error)).partition("; ")
    return Finding(name, WARNING, problem, remedy)


def _check_versions() -> Iterator[Finding]:
    from importlib import metadata

    yield Finding("kaggle-digits", OK, __version__)
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("Python", OK, python)
    else:
        remedy = "use Python 3.11, 3.12 or 3.13: TensorFlow has no wheels for others"
        yield Finding("Python", ERROR, python, remedy)
    for package in PACKAGES:
        try:
            yield Finding(package, OK, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Finding(package, ERROR, "not installed", f"pip install {package}")


def _check_processor() -> Finding:
    import psutil

    from kaggle_digits.core.environment import usable_cores

    memory = psutil.virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    text = f"{usable_cores()} cores, {total:.1f} GB memory, {free:.1f} GB free"
    if memory.available < NEEDED_BYTES:
        remedy = "training needs about 2 GB: close other programs"
        return Finding("processor", WARNING, text, remedy)
    return Finding("processor", OK, text)


def _check_backend() -> Finding:
    from importlib import metadata

    from kaggle_digits.core.environment import backend_name, is_installed

    name = backend_name()
    precision = os.environ.get("KD_PRECISION")
    suffix = f"; KD_PRECISION={precision}" if precision else ""
    if name not in CUDA_PACKAGES:
        remedy = "only tensorflow and jax are supported: unset KERAS_BACKEND"
        return Finding("backend", WARNING, f"Keras uses {name}{suffix}", remedy)
    if not is_installed(name):
        extra = "kaggle-digits[jax]" if name == "jax" else name
        remedy = f"pip install '{extra}', or unset KERAS_BACKEND"
        return Finding("backend", ERROR, f"{name} is not installed", remedy)
    return Finding("backend", OK, f"Keras uses {name} {metadata.version(name)}{suffix}")


def _check_gpu() -> Finding:
    from kaggle_digits.core.environment import backend_name, gpus, is_installed

    names = gpus()
    if not names and shutil.which("nvidia-smi"):
        remedy = "check the driver: nvidia-smi"
        return Finding("GPU", WARNING, "nvidia-smi finds no GPU", remedy)
    if not names:
        return Finding("GPU", OK, "none found; models are trained on the CPU")
    text = "; ".join(names)
    backend = backend_name()
    packages, extra = CUDA_PACKAGES.get(backend, ((), ""))
    if extra and not any(map(is_installed, packages)):
        remedy = f"{backend} may lack the CUDA libraries: pip install '{extra}'"
        return Finding("GPU", WARNING, text, remedy)
    return Finding("GPU", OK, text + ("; one of them is used" if len(names) > 1 else ""))


def _check_kaggle(*, offline: bool, timeout: float) -> Iterator[Finding]:
    from kaggle_digits.kaggle_api import credentials

    try:
        credential = credentials.find()
    except DigitsError as error:
        yield _warning("credential", error)
        return
    if credential is None:
        remedy = f"to use Kaggle, {credentials.CREDENTIAL_HELP}; without: kd fetch --source sample"
        yield Finding("credential", WARNING, "none", remedy)
        return
    if credential.is_world_readable:
        remedy = f"chmod 600 {credential.path}"
        text = f"{credential}; other users can read it"
        yield Finding("credential", WARNING, text, remedy)
    else:
        yield Finding("credential", OK, str(credential))
    if offline:
        yield Finding("Kaggle", OK, "not checked (--offline)")
    else:
        yield _guarded("Kaggle", lambda: _check_connection(timeout))


def _check_connection(timeout: float) -> Finding:
    from dataclasses import replace

    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.http import RetryPolicy

    with DownloadProgress() as display:
        kaggle = CompetitionClient(
            policy=replace(RetryPolicy.from_timeout(timeout), max_attempts=2), progress=display
        )
        files = kaggle.list_files()
        limits = kaggle.submission_limits()
    left = f", {limits.remaining} submissions left today" if limits.known else ""
    text = f"accepts the credential; {len(files)} files listed{left}"
    return Finding("Kaggle", OK, text)


def _check_data(folder: Path) -> Finding:
    from kaggle_digits.core.atomic_io import sha256
    from kaggle_digits.data.dataset import FILES, TEST, TRAIN, source_of

    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        remedy = "kd fetch, or without an account: kd fetch --source sample"
        return Finding("data", WARNING, f"{', '.join(missing)} not in {folder}", remedy)
    source = source_of(folder, sha256(folder / TRAIN), sha256(folder / TEST))
    size = sum((folder / name).stat().st_size for name in FILES)
    text = f"{folder}: {len(FILES)} files, {size / 1e6:.0f} MB, source {source.source}"
    if source.is_competition:
        return Finding("data", OK, text)
    return Finding("data", WARNING, text, "to submit to Kaggle: kd fetch --force")


def _check_disk(folder: Path) -> Finding:
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        remedy = "choose another folder: --data-dir, --runs-dir, --submissions-dir"
        return Finding("disk", ERROR, f"{folder} is not writable", remedy)
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GB free"
    if free < NEEDED_BYTES:
        return Finding("disk", WARNING, text, "data and runs need about 2 GB: free some space")
    return Finding("disk", OK, text)
