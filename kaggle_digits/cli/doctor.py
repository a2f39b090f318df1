"""kd doctor: what is installed, what the machine has, what would go wrong, and its remedy."""

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
from kaggle_digits.cli import console
from kaggle_digits.cli.kaggle_options import SECONDS, Display, Timeout
from kaggle_digits.cli.options import DATA, AsJson, DataDir
from kaggle_digits.core.errors import DigitsError

GOOD, ODD, BAD = "ok", "warning", "error"
MARKS = {GOOD: "✓", ODD: "!", BAD: "✗"}
PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "kaggle")
NEEDED_BYTES = 2 << 30
# Backend → packages, one of which brings CUDA's libraries, and how that is installed.
LIBRARIES = {
    "tensorflow": (("nvidia-cudnn-cu12",), "tensorflow[and-cuda]"),
    "jax": (("jax-cuda12-plugin", "jax-cuda13-plugin"), "jax[cuda12]"),
}


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it stands, and what to do where it could be better."""

    name: str
    state: str
    text: str
    remedy: str = ""


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask Kaggle.")] = False,
    timeout: Timeout = SECONDS,
    data_dir: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Look at versions, device, credential, data and disk; say what to mend and how."""
    findings = [
        *_versions(),
        _guarded("processor", _processor),
        _guarded("backend", _backend),
        _guarded("GPU", _gpu),
        *_kaggle(offline=offline, timeout=timeout),
        _guarded("data", lambda: _data(data_dir)),
        _guarded("disk", lambda: _disk(data_dir)),
    ]
    healthy = all(finding.state != BAD for finding in findings)
    if as_json:
        console.print_json({"healthy": healthy, "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            console.echo(f"{MARKS[finding.state]} {finding.name}: {finding.text}")
            if finding.remedy:
                console.echo(f"    → {finding.remedy}")
    if not healthy:
        raise typer.Exit(1)


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    """A look that fails is a finding too."""
    try:
        return look()
    except DigitsError as error:
        return Finding(name, ODD, *_split(console.redact(str(error))))
    except Exception as error:
        why = console.redact(f"{type(error).__name__}: {error}")
        return Finding(name, ODD, f"could not be looked at ({why})")


def _split(message: str) -> tuple[str, str]:
    """What was wrong, and what to do: our messages have a semicolon in between."""
    wrong, _, remedy = message.partition("; ")
    return wrong, remedy


def _versions() -> Iterator[Finding]:
    from importlib import metadata

    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    remedy = "" if fits else "TensorFlow has wheels for Python 3.11, 3.12 and 3.13 only: use one"
    yield Finding("kaggle-digits", GOOD, __version__)
    yield Finding("Python", GOOD if fits else BAD, python, remedy)
    for package in PACKAGES:
        try:
            yield Finding(package, GOOD, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Finding(package, BAD, "not installed", f"pip install {package}")


def _processor() -> Finding:
    import psutil

    from kaggle_digits.core.environment import usable_cores

    memory = psutil.virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    text = f"{usable_cores()} cores, {total:.1f} GB memory, {free:.1f} free"
    if memory.available < NEEDED_BYTES:
        return Finding("processor", ODD, text, "training needs about 2 GB: close something")
    return Finding("processor", GOOD, text)


def _backend() -> Finding:
    from importlib import metadata

    from kaggle_digits.core.environment import backend_name, is_installed

    name = backend_name()
    precision = os.environ.get("KD_PRECISION")
    further = f"; KD_PRECISION={precision}" if precision else ""
    if name not in LIBRARIES:
        remedy = "tensorflow is promised and jax is tested: unset KERAS_BACKEND"
        return Finding("backend", ODD, f"Keras computes with {name}{further}", remedy)
    if not is_installed(name):
        extra = "kaggle-digits[jax]" if name == "jax" else name
        remedy = f"pip install '{extra}', or unset KERAS_BACKEND"
        return Finding("backend", BAD, f"{name} is not installed", remedy)
    return Finding("backend", GOOD, f"Keras computes with {name} {metadata.version(name)}{further}")


def _gpu() -> Finding:
    from kaggle_digits.core.environment import backend_name, gpus, is_installed

    found = gpus()
    if not found and shutil.which("nvidia-smi"):
        return Finding("GPU", ODD, "nvidia-smi finds none", "look at the driver: nvidia-smi")
    if not found:
        return Finding("GPU", GOOD, "none found; models train on the processor")
    cards = "; ".join(found)
    name = backend_name()
    packages, install = LIBRARIES.get(name, ((), ""))
    if install and not any(map(is_installed, packages)):
        remedy = f"{name} may lack CUDA's libraries: pip install '{install}'"
        return Finding("GPU", ODD, cards, remedy)
    unused = "; one of them is used" if len(found) > 1 else ""
    return Finding("GPU", GOOD, cards + unused)


def _kaggle(*, offline: bool, timeout: float) -> Iterator[Finding]:
    from kaggle_digits.kaggle_api import credentials

    try:
        credential = credentials.find()
    except DigitsError as error:
        yield Finding("credential", ODD, *_split(str(error)))
        return
    if credential is None:
        remedy = (
            f"to fetch and submit, {credentials.CREDENTIAL_HELP}; without: kd fetch --source sample"
        )
        yield Finding("credential", ODD, "none", remedy)
        return
    if credential.is_world_readable:
        remedy = f"chmod 600 {credential.path}"
        yield Finding("credential", ODD, f"{credential}; others may read it", remedy)
    else:
        yield Finding("credential", GOOD, str(credential))
    if offline:
        yield Finding("Kaggle", GOOD, "not asked (--offline)")
    else:
        yield _guarded("Kaggle", lambda: _accepted(timeout))


def _accepted(timeout: float) -> Finding:
    from dataclasses import replace

    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.retry import RetryPolicy

    with Display() as display:
        kaggle = CompetitionClient(
            policy=replace(RetryPolicy.from_timeout(timeout), max_attempts=2), progress=display
        )
        files = kaggle.list_files()
        limits = kaggle.submission_limits()
    left = f", {limits.remaining} submissions left today" if limits.known else ""
    text = f"accepts the credential; {len(files)} files listed{left}"
    return Finding("Kaggle", GOOD, text)


def _data(folder: Path) -> Finding:
    from kaggle_digits.core.atomic_io import sha256
    from kaggle_digits.data.dataset import FILES, TEST, TRAIN, source_of

    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        remedy = "kd fetch, or without an account: kd fetch --source sample"
        return Finding("data", ODD, f"{', '.join(missing)} not in {folder}", remedy)
    source = source_of(folder, sha256(folder / TRAIN), sha256(folder / TEST))
    size = sum((folder / name).stat().st_size for name in FILES)
    text = f"{folder}: {len(FILES)} files, {size / 1e6:.0f} MB, source {source.source}"
    if source.is_competition:
        return Finding("data", GOOD, text)
    remedy = "for runs that can be submitted: kd fetch --force"
    return Finding("data", ODD, text, remedy)


def _disk(folder: Path) -> Finding:
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.1f} GB free"
    if not os.access(place, os.W_OK):
        remedy = "choose another folder: --data-dir, --runs-dir, --submissions-dir"
        return Finding("disk", BAD, f"{place} is not writable", remedy)
    if free < NEEDED_BYTES:
        return Finding("disk", ODD, text, "data and runs need about 2 GB: free some")
    return Finding("disk", GOOD, text)
