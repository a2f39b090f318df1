"""kd doctor: check the installation, the machine, the Kaggle credential and the data."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import typer

from kaggle_digits._version import __version__
from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import flag
from kaggle_digits.core import environment
from kaggle_digits.core.advice import to_command_line, unset_variable
from kaggle_digits.core.errors import DigitsError
from kaggle_digits.core.extras import install_command, install_packages
from kaggle_digits.core.text import plural
from kaggle_digits.kaggle_api import credentials
from kaggle_digits.kaggle_api.redaction import redact

OK, WARNING, ERROR = "ok", "warning", "error"
MARKS = {OK: "✓", WARNING: "!", ERROR: "✗"}
PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "kaggle", "ai-edge-litert")
# Packages that a smaller installation may lack → what then is different.
WITHOUT = {
    "tensorflow": "; linear and mlp need none, other models this or JAX",
    "ai-edge-litert": "; without it, pictures are read with Keras, which starts seconds later",
}
NEEDED_BYTES = 2 << 30
CREDENTIAL = "credential"
# Keras backend → what installs its CUDA libraries.
CUDA_EXTRAS = {"tensorflow": "tensorflow[and-cuda]", "jax": "jax[cuda12]"}
Finding = tuple[str, str, str]  # state, text, how to fix a warning or an error


def doctor(
    offline: bool = flag("Do not connect to Kaggle.", "--offline"),
    timeout: float = options.TIMEOUT,
    data_dir: Path = options.DATA_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Check versions, device, credential, data and disk, and say how to fix problems."""
    checks: dict[str, Callable[[], Finding | None]] = {
        "kaggle-digits": lambda: (OK, __version__, ""),
        "Python": _check_python,
        **{package: partial(_check_package, package) for package in PACKAGES},
        "processor": _check_processor,
        "backend": _check_backend,
        "GPU": _check_gpu,
        CREDENTIAL: _check_credential,
        "Kaggle": lambda: _check_kaggle(timeout, offline=offline),
        "data": lambda: _check_data(data_dir),
        "disk": lambda: _check_disk(data_dir),
    }
    results = [(name, finding) for name, check in checks.items() if (finding := _run(check))]
    healthy = all(state != ERROR for _, (state, _, _) in results)
    if as_json:
        keys = ("name", "state", "text", "remedy")
        findings = [
            dict(zip(keys, (name, *finding), strict=True))
            | ({"places": _places()} if name == CREDENTIAL else {})
            for name, finding in results
        ]
        console.print_json({"healthy": healthy, "findings": findings})
    else:
        for name, (state, text, remedy) in results:
            console.echo(f"{MARKS[state]} {name}: {text}")
            if remedy:
                console.echo(f"    → {remedy}")
            if name == CREDENTIAL:
                console.echo("    looked for in this order:")
                for place in _places():
                    console.echo(f"      {place['state']}: {place['place']}")
    if not healthy:
        raise typer.Exit(1)


def _run(check: Callable[[], Finding | None]) -> Finding | None:
    """Run a check; if it raises, the exception becomes its finding."""
    try:
        return check()
    except DigitsError as error:
        problem, _, remedy = to_command_line(redact(str(error))).partition("; ")
        return WARNING, problem, remedy
    except Exception as error:
        return WARNING, redact(f"check failed ({type(error).__name__}: {error})"), ""


def _check_python() -> Finding:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return OK, text, ""
    install = "python3.12 -m venv .venv; source .venv/bin/activate"
    if sys.platform == "win32":
        install = r"py -3.12 -m venv .venv; .venv\Scripts\activate"
    reason = "use Python 3.11, 3.12 or 3.13, because TensorFlow has no wheels for others"
    return ERROR, text, f"{reason}: {install}"


def _check_package(name: str) -> Finding:
    if version := environment.installed_version(name):
        return OK, version, ""
    consequence = WITHOUT.get(name)
    state = WARNING if consequence else ERROR
    return state, f"not installed{consequence or ''}", install_packages(name)


def _check_processor() -> Finding:
    total, free = environment.memory()
    sizes = f"{total / 2**30:.1f} GB memory, {free / 2**30:.1f} GB free"
    text = f"{plural(environment.usable_cores(), 'core')}, {sizes}"
    if free < NEEDED_BYTES:
        return WARNING, text, "training needs about 2 GB: close other programs"
    return OK, text, ""


def _check_backend() -> Finding:
    name = environment.backend_name()
    precision = os.environ.get("KD_PRECISION")
    suffix = f"; KD_PRECISION={precision}" if precision else ""
    if name not in CUDA_EXTRAS:
        remedy = f"only tensorflow and jax are supported: {unset_variable('KERAS_BACKEND')}"
        return WARNING, f"Keras uses {name}{suffix}", remedy
    if not environment.installed_version(name):
        if name == "tensorflow":
            return WARNING, "none: only linear and mlp can be trained", ""
        remedy = f"{install_command('jax')}, or {unset_variable('KERAS_BACKEND')}"
        return ERROR, f"{name} is not installed", remedy
    return OK, f"Keras uses {name} {environment.installed_version(name)}{suffix}", ""


def _check_gpu() -> Finding:
    names = environment.gpus()
    if not names and shutil.which("nvidia-smi"):
        return WARNING, "nvidia-smi finds no GPU", "check the driver: nvidia-smi"
    if not names:
        return OK, "none found; models are trained on the CPU", ""
    text = "; ".join(names)
    if sys.platform == "win32":
        return OK, f"{text}; not used, because TensorFlow and JAX need WSL 2: wsl --install", ""
    backend = environment.backend_name()
    packages = environment.CUDA_PACKAGES
    if backend in packages and not any(map(environment.installed_version, packages[backend])):
        install = install_packages(CUDA_EXTRAS[backend])
        remedy = f"{backend} may lack the CUDA libraries: {install}"
        return WARNING, text, remedy
    text += "; one of them is used" if len(names) > 1 else ""
    if backend == "tensorflow" and any(map(environment.installed_version, packages["jax"])):
        return WARNING, text, "JAX trains several times faster on a GPU: set KERAS_BACKEND=jax"
    return OK, text, ""


def _check_credential() -> Finding:
    credential = credentials.find()
    if credential is None:
        text = f"none{credentials.describe_unused()}"
        remedy = f"to use Kaggle, {credentials.CREDENTIAL_HELP}; without: kd fetch sample"
        return WARNING, text, remedy
    if credential.is_world_readable:
        return WARNING, f"{credential}; other users can read it", f"chmod 600 {credential.path}"
    return OK, str(credential), ""


def _places() -> list[dict[str, str]]:
    """Return every place where a credential may be, and what was found there."""
    places, is_used = [], False
    for place in credentials.look():
        state = place.state
        if place.credential:
            state = "not needed" if is_used else "used"
            is_used = True
        problem = f" {place.problem.partition('; ')[0]}" if place.problem else ""
        places.append({"place": redact(f"{place.location}{problem}"), "state": state})
    return places


def _check_kaggle(timeout: float, *, offline: bool) -> Finding | None:
    """Connect to Kaggle; return None without a usable credential, which has its own finding."""
    try:
        if credentials.find() is None:
            return None
    except DigitsError:
        return None
    if offline:
        return OK, "not checked (--offline)", ""
    from kaggle_digits.cli.progress import DownloadProgress
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.http import RetryPolicy

    policy = replace(RetryPolicy.from_timeout(timeout), max_attempts=2)
    with DownloadProgress() as display:
        kaggle = CompetitionClient(policy=policy, progress=display)
        files = kaggle.list_files()
        limits = kaggle.submission_limits()
    left = f", {limits.remaining} submissions left today" if limits else ""
    return OK, f"accepts the credential; {len(files)} files listed{left}", ""


def _check_data(folder: Path) -> Finding:
    from kaggle_digits.core.atomic_io import sha256
    from kaggle_digits.data.dataset import FILES, TEST, TRAIN, missing_files, source_of

    if missing := missing_files(folder):
        remedy = "kd fetch, or without an account: kd fetch sample"
        return WARNING, f"{', '.join(missing)} not in {folder}", remedy
    source = source_of(folder, sha256(folder / TRAIN), sha256(folder / TEST))
    sizes = [(folder / name).stat().st_size for name in FILES if (folder / name).exists()]
    text = f"{len(sizes)} files in {folder}, {sum(sizes) / 1e6:.0f} MB, source {source.source}"
    if source.is_competition:
        return OK, text, ""
    return WARNING, text, "to submit to Kaggle: kd fetch --force"


def _check_disk(folder: Path) -> Finding:
    folder = folder.resolve()
    folder = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(folder, os.W_OK):
        remedy = "choose another folder: --data-dir, --runs-dir, --submissions-dir"
        return ERROR, f"{folder} is not writable", remedy
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GB free"
    if free < NEEDED_BYTES:
        return WARNING, text, "data and runs need about 2 GB: free some space"
    return OK, text, ""
