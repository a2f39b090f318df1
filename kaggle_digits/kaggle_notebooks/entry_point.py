"""The script that trains on Kaggle: unpack the toolkit, run ``kd train``, pack the run folder.

The text of this file is the head of the script that ``kd remote push`` makes, so it imports only
the standard library. Its output is two files: the zipped run folder, if a member was finished, and
a manifest, always, that lists what is in the zip or says why there is none.

Kaggle keeps no output of a session that exceeds its time limit. The training is therefore stopped
before that, as by Ctrl-C; ``kd train --resume`` continues with the members that were finished.
"""

import base64
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import lzma
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MANIFEST, ARCHIVE = "kd-manifest.json", "kd-run.zip"
FINISHED, PARTIAL, FAILED = "finished", "partial", "failed"
LOG_PREFIX = "kd-manifest: "  # of the log line that repeats the result
FILES = ("train.csv", "test.csv", "sample_submission.csv")
MAX_DEPTH = 4
TAIL_LINES, GRACE_SECONDS, PIP_SECONDS = 30, 120.0, 900.0
MIN_PYTHON = (3, 11)
# Package → the oldest version that was tested; Keras 3.12 has Muon.
REQUIRED = {"filelock": "3.12", "joblib": "1.3", "keras": "3.12", "numpy": "1.26", "pandas": "2.0"}
REQUIRED |= {"psutil": "5.9", "pydantic": "2.9", "rich": "13", "scikit-learn": "1.2"}
REQUIRED |= {"scipy": "1.11", "tensorflow": "2.18", "threadpoolctl": "3", "typer": "0.15"}
# Without litert, classifying with the run is slower; without skops, scikit-learn models are saved
# as pickles, which need --trust.
OPTIONAL = {"ai-edge-litert": "2", "skops": "0.13"}
MODULES = {"scikit-learn": "sklearn"}  # of packages whose module has another name
NEVER_REPLACED = ("tensorflow", "numpy")  # the versions in Kaggle's image match its GPU drivers


class SessionError(Exception):
    """Nothing can be trained; the message says why in one line."""


def log(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(settings: dict[str, Any], source: str) -> int:
    """Train, and write the manifest and the zipped run folder.

    ``settings`` are the fields of JobSpec, ``toolkit`` (its version) and ``source_sha256``;
    ``source`` is the packed toolkit. The exit code is 0 if a member was finished, because Kaggle
    may delete the output of a session that fails.
    """
    start = time.time()
    work = Path(tempfile.mkdtemp(prefix="kd-"))
    output = Path(os.environ.get("KD_KERNEL_OUTPUT") or "/kaggle/working")
    if not output.is_dir():
        output = Path.cwd()
    manifest: dict[str, Any] = {
        key: settings[key] for key in ("push_id", "toolkit", "source_sha256", "run", "recipe")
    }
    manifest |= {"state": FAILED, "reason": "", "exit_code": None}
    manifest |= {"gpus": [], "data": {}, "log_tail": []}
    try:
        _train(settings, source, work, manifest, start)
    except SessionError as error:
        manifest["reason"] = str(error)
    except BaseException as error:
        traceback.print_exc(file=sys.stdout)
        manifest["reason"] = f"{type(error).__name__}: {error}"
    try:
        run = work / "runs" / settings["run"]
        manifest |= pack_run(run, output, succeeded=manifest["exit_code"] == 0)
    except OSError as error:
        manifest |= {"state": FAILED, "reason": f"the run could not be packed: {error}"}
    versions = {name: installed_version(name) or "missing" for name in (*REQUIRED, *OPTIONAL)}
    manifest["versions"] = {"python": platform.python_version(), **versions}
    manifest["seconds"] = round(time.time() - start, 1)
    part = output / f"{MANIFEST}.part"
    part.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    part.replace(output / MANIFEST)
    shutil.rmtree(work, ignore_errors=True)
    result = {key: manifest[key] for key in ("push_id", "run", "state", "reason", "seconds")}
    log(LOG_PREFIX + json.dumps(result))
    return 1 if manifest["state"] == FAILED else 0


def _train(
    settings: dict[str, Any], source: str, work: Path, manifest: dict[str, Any], start: float
) -> None:
    """Run ``kd train`` in ``work``; fill in the manifest on the way."""
    if sys.version_info[:2] < MIN_PYTHON:
        raise SessionError(f"Python {platform.python_version()} is too old; 3.11 is needed")
    unpack(source, settings["source_sha256"], work / "source")
    manifest["gpus"] = gpu_names()
    log(f"toolkit {settings['toolkit']}, run {settings['run']}, GPUs: {manifest['gpus'] or 'none'}")
    if settings["accelerator"] and not manifest["gpus"]:
        raise SessionError(
            "Kaggle gave this session no GPU; verify your phone number and check the weekly "
            "quota at https://www.kaggle.com/settings, or push again with --no-gpu"
        )
    data = find_data(Path(os.environ.get("KD_KERNEL_INPUT") or "/kaggle/input"))
    log(f"data: {data}")
    (work / "data").mkdir()
    for name in FILES:  # copied, because the input is read-only and kd caches arrays beside it
        shutil.copyfile(data / name, work / "data" / name)
        manifest["data"][name] = file_info(work / "data" / name)["sha256"]
    outdated = ensure_packages(REQUIRED, OPTIONAL, internet=settings["internet"])

    recipe = settings["recipe"]
    if settings["recipe_text"] is not None:
        (work / "recipe").mkdir()
        recipe = str(work / "recipe" / recipe)
        Path(recipe).write_text(settings["recipe_text"], encoding="utf-8")
    command = [sys.executable, "-u", "-m", "kaggle_digits", "train", "--recipe", recipe]
    command += ["--name", settings["run"], *settings["options"]]
    for name in ("data", "runs", "submissions"):
        command += [f"--{name}-dir", str(work / name)]
    (work / "tmp").mkdir()
    path = os.pathsep.join(filter(None, (str(work / "source"), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "TMPDIR": str(work / "tmp"), "PYTHONPATH": path}
    seconds = max(1.0, 3600 * settings["hours"] - (time.time() - start))
    code, stop_reason, tail = run_with_time_limit(command, env, work, seconds)
    manifest |= {"exit_code": code, "log_tail": tail, "reason": stop_reason}
    if code and not stop_reason:
        manifest["reason"] = f"kd train ended with {code}: {tail[-1] if tail else ''}"
        if outdated:
            manifest["reason"] += f" (outdated: {', '.join(outdated)}; push with --internet)"


def unpack(source: str, digest: str, folder: Path) -> None:
    """Check the SHA-256 of a packed toolkit, base64 of xz of JSON {path: text}, and unpack it."""
    packed = "".join(source.split())
    if hashlib.sha256(packed.encode()).hexdigest() != digest:
        raise SessionError("the toolkit in this script was changed on its way; push it again")
    for name, text in json.loads(lzma.decompress(base64.b64decode(packed))).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def gpu_names() -> list[str]:
    """Return the names of the GPUs, from nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def find_data(root: Path) -> Path:
    """Return the folder below ``root`` that holds FILES; SessionError if there is none."""
    for depth in range(MAX_DEPTH + 1):
        for path in sorted(root.glob("*/" * depth + FILES[0])):
            if all((path.parent / name).is_file() for name in FILES):
                return path.parent
    raise SessionError(
        f"{', '.join(FILES)} are not below {root}; accept the competition's rules at "
        "https://www.kaggle.com/competitions/digit-recognizer/rules and push again"
    )


def ensure_packages(
    required: dict[str, str], optional: dict[str, str], *, internet: bool
) -> list[str]:
    """Install missing and too old packages, if allowed; return those that are still too old.

    SessionError: a required package is missing and cannot be installed.
    """
    outdated: list[str] = []
    for package, oldest in {**required, **optional}.items():
        module = MODULES.get(package, package.replace("-", "_"))
        found = importlib.util.find_spec(module) is not None
        version = installed_version(package) if found else ""
        if found and not is_older(version, oldest):
            continue
        # From here on, a package that was found is too old.
        problem = "Kaggle's own version is kept"
        if not (found and package in NEVER_REPLACED):
            problem = pip_install(f"{package}>={oldest}") if internet else "the internet is off"
        if not problem:
            continue
        if found:
            outdated.append(f"{package} {version}")
            log(f"{package} {version} is older than {oldest} ({problem}); continuing with it")
        elif package in optional:
            log(f"{package} is missing ({problem}); continuing without it")
        else:
            again = "push again" if internet else "push again with --internet"
            raise SessionError(f"the package {package} is missing ({problem}); {again}")
    return outdated


def installed_version(package: str) -> str:
    """Return the version of ``package``; "" if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""


def is_older(version: str, oldest: str) -> bool:
    """Compare the first three numbers of two versions; an unknown version is not older."""
    found, least = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in (version, oldest))
    return bool(found) and found < least


def pip_install(requirement: str) -> str:
    """Install ``requirement``; return an error message, or ""."""
    log(f"installing {requirement}")
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        subprocess.run(
            [*command, requirement], capture_output=True, text=True, timeout=PIP_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        return f"pip: {(error.stderr.strip().splitlines() or ['it failed'])[-1]}"
    except (OSError, subprocess.SubprocessError) as error:
        return f"pip: {error}"
    importlib.invalidate_caches()
    return ""


def run_with_time_limit(
    command: Sequence[str], env: dict[str, str], folder: Path, seconds: float
) -> tuple[int, str, list[str]]:
    """Run ``command`` in ``folder`` and copy its output to the log.

    It receives SIGINT, as by Ctrl-C, after ``seconds`` or when this process receives SIGTERM or
    SIGINT, and is killed if it has not ended GRACE_SECONDS later. Returns its exit code; why it was
    stopped, or ""; its last lines.
    """
    if sys.platform == "win32":  # no process groups
        raise SessionError("this script is for Kaggle's notebooks, which run on Linux")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # the child would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    stop_reason = ""

    def send(number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)  # its workers, too

    def stop(reason: str) -> None:
        nonlocal stop_reason
        if not stop_reason:
            stop_reason = reason
            log(f"{reason}: stopping; finished members are kept")
            send(signal.SIGINT)
            _start_timer(GRACE_SECONDS, send, signal.SIGKILL)

    time_limit = _start_timer(seconds, stop, f"the limit of {seconds / 3600:.2g} hours is reached")
    handlers = {
        number: signal.signal(number, lambda *_: stop("Kaggle ended this session"))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            log(line.rstrip("\n"))
            if line.strip():
                tail.append(line.strip()[:500])
        code = process.wait()
    finally:
        time_limit.cancel()
        send(signal.SIGKILL)  # processes that a killed training left behind
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return code, stop_reason, list(tail)


def _start_timer(seconds: float, function: Callable[[Any], None], argument: Any) -> threading.Timer:
    timer = threading.Timer(seconds, function, (argument,))
    timer.daemon = True
    timer.start()
    return timer


def pack_run(run: Path, output: Path, *, succeeded: bool) -> dict[str, Any]:
    """Zip the run folder into ``output`` if one of its members is finished.

    Returns entries of the manifest: state, members, members_done, archive (name, bytes, sha256)
    and files (path in the run → bytes, sha256).
    """
    config = run / "config.json"
    members = json.loads(config.read_bytes())["members"] if config.is_file() else None
    done = len(list(run.glob("members/*/member.json")))
    entries: dict[str, Any] = {"members": members, "members_done": done, "files": {}}
    entries["archive"] = None
    if not done or members is None:
        return {**entries, "state": FAILED}
    part = output / f"{ARCHIVE}.part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(run.rglob("*")):
            name = path.relative_to(run).as_posix()
            if path.is_file() and not any(word.startswith(".") for word in name.split("/")):
                archive.write(path, name)
                entries["files"][name] = file_info(path)
    part.replace(output / ARCHIVE)
    entries["archive"] = {"name": ARCHIVE, **file_info(output / ARCHIVE)}
    finished = succeeded and (run / "metrics.json").is_file()
    return {**entries, "state": FINISHED if finished else PARTIAL}


def file_info(path: Path) -> dict[str, Any]:
    """Return the size and the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
