"""What runs on Kaggle: unpack the toolkit, train in a process of its own, pack what came of it.

The text of this file is the head of the script that ``kd remote push`` makes, so it imports nothing
but Python's own library. Two files are left as the notebook's output, whatever happens: the run,
zipped (if a member was finished), and a manifest that says what is in it or why nothing is. All
else is kept in a temporary folder elsewhere.

Kaggle keeps no output of a session that it cuts off. So the training is stopped a while before,
as by Ctrl-C; members that are finished then come back and ``kd train --resume`` goes on with them.
"""

from __future__ import annotations

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
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST, ARCHIVE = "kd-manifest.json", "kd-run.zip"
FINISHED, PARTIAL, FAILED = "finished", "partial", "failed"
LOG_PREFIX = "kd-manifest: "  # begins the line of the log that tells the end
INPUT, OUTPUT = "/kaggle/input", "/kaggle/working"
FILES = ("train.csv", "test.csv", "sample_submission.csv")
PLACES = ("competitions/digit-recognizer", "digit-recognizer")
DEEPEST = 4
TAIL, GRACE_SECONDS, PIP_SECONDS = 30, 120.0, 900.0
# Package, module, the oldest version that a training was seen to work with. TensorFlow and numpy
# are never replaced: the image's own are the ones that fit its GPU.
REQUIRED = (
    ("filelock", "filelock", "3.12"),
    ("joblib", "joblib", "1.3"),
    ("keras", "keras", "3.12"),  # its Muon
    ("numpy", "numpy", "1.26"),
    ("pandas", "pandas", "2.0"),
    ("psutil", "psutil", "5.9"),
    ("rich", "rich", "13"),
    ("scikit-learn", "sklearn", "1.2"),
    ("scipy", "scipy", "1.11"),
    ("tensorflow", "tensorflow", "2.18"),
    ("threadpoolctl", "threadpoolctl", "3"),
    ("typer", "typer", "0.15"),
)
# A run trained without them reads pictures through Keras, slower, and has scikit-learn's models as
# pickles, which want --trust.
OPTIONAL = (("ai-edge-litert", "ai_edge_litert", "2"), ("skops", "skops", "0.13"))
NEVER_REPLACED = ("tensorflow", "numpy")
OLDEST_PYTHON = (3, 11)


class SessionError(Exception):
    """Why nothing could be trained, in one line."""


def log(text: str) -> None:
    """One line of the notebook's log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(settings: dict[str, Any], source: str) -> int:
    """Train as ``settings`` say, with the toolkit packed in ``source``; the exit code.

    0 where anything is worth pulling: of a session that failed, Kaggle may keep no files.
    """
    begun = time.time()
    place = Path(tempfile.mkdtemp(prefix="kd-"))
    out = _folder("KD_KERNEL_OUTPUT", OUTPUT) or Path.cwd()
    told: dict[str, Any] = {
        "push_id": settings["push_id"],
        "toolkit": settings["toolkit"],
        "source_sha256": settings["source_sha256"],
        "run": settings["run"],
        "recipe": settings["recipe"],
        "state": FAILED,
        "reason": "",
        "exit_code": None,
        "gpus": [],
        "data": {},
        "log_tail": [],
    }
    try:
        _train(settings, source, place, told, begun)
    except SessionError as error:
        told["reason"] = str(error)
    except BaseException as error:
        traceback.print_exc(file=sys.stdout)
        told["reason"] = f"{type(error).__name__}: {error}"
    try:
        told |= pack_run(place / "runs" / settings["run"], out, told["exit_code"] == 0)
    except OSError as error:
        told |= {"state": FAILED, "reason": f"the run could not be packed: {error}"}
    told |= {"versions": versions(), "seconds": round(time.time() - begun, 1)}
    part = out / f"{MANIFEST}.part"
    part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    part.replace(out / MANIFEST)
    shutil.rmtree(place, ignore_errors=True)
    short = {key: told[key] for key in ("push_id", "run", "state", "reason", "seconds")}
    log(LOG_PREFIX + json.dumps(short))
    return 1 if told["state"] == FAILED else 0


def _train(
    settings: dict[str, Any], source: str, place: Path, told: dict[str, Any], begun: float
) -> None:
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise SessionError(
            f"Python {platform.python_version()} is too old; 3.11 or newer is needed"
        )
    unpack(source, settings["source_sha256"], place / "source")
    told["gpus"] = gpus()
    log(f"toolkit {settings['toolkit']}, run {settings['run']}, GPUs: {told['gpus'] or 'none'}")
    if settings["gpu"] and not told["gpus"]:
        raise SessionError(
            "Kaggle gave this session no GPU; verify your phone number and look at the weekly "
            "quota at https://www.kaggle.com/settings, or push again with --no-gpu"
        )
    data = find_data(_folder("KD_KERNEL_INPUT", INPUT) or Path(INPUT))
    log(f"data: {data}")
    (place / "data").mkdir()
    for name in FILES:  # the input is read-only, and parsed files are kept beside the CSVs
        shutil.copyfile(data / name, place / "data" / name)
        told["data"][name] = sha256(place / "data" / name)
    old = ensure_packages(REQUIRED, OPTIONAL, internet=settings["internet"])

    recipe = settings["recipe"]
    if settings["recipe_text"] is not None:
        path = place / "recipe" / Path(recipe).name
        path.parent.mkdir()
        path.write_text(settings["recipe_text"], encoding="utf-8")
        recipe = str(path)
    folders = [word for name in ("data", "runs", "submissions")
               for word in (f"--{name}-dir", str(place / name))]  # fmt: skip
    words = ["train", "--recipe", recipe, "--name", settings["run"], *settings["options"]]
    command = [sys.executable, "-u", "-m", "kaggle_digits", *words, *folders]
    paths = [str(place / "source"), os.environ.get("PYTHONPATH", "")]
    (place / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(place / "tmp")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    seconds = max(1.0, 3600 * settings["hours"] - (time.time() - begun))
    told["exit_code"], stopped, tail = run_with_time_limit(command, env, place, seconds)
    told["log_tail"] = tail
    if stopped:
        told["reason"] = stopped
    elif told["exit_code"]:
        told["reason"] = f"kd train ended with {told['exit_code']}: {tail[-1] if tail else ''}"
        if old:
            told["reason"] += f" (old in this image: {', '.join(old)}; push with --internet)"


def unpack(source: str, digest: str, folder: Path) -> None:
    """Write the packed files below ``folder``.

    Raises:
        Trouble: the text is not the one that was packed.
    """
    packed = "".join(source.split())
    if hashlib.sha256(packed.encode()).hexdigest() != digest:
        raise SessionError("the toolkit in this script was changed on its way; push it again")
    for name, text in json.loads(lzma.decompress(base64.b64decode(packed))).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def gpus() -> list[str]:
    """The names of the GPUs, as nvidia-smi tells them."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def find_data(root: Path) -> Path:
    """The folder below ``root`` that holds the competition's three files.

    Raises:
        Trouble: there is none.
    """
    folders = [root / place for place in PLACES]
    depth = len(root.parts)
    for folder, below, _ in os.walk(root, followlinks=True):
        below.sort()
        if len(Path(folder).parts) - depth >= DEEPEST:
            below.clear()
        folders.append(Path(folder))
    for path in folders:
        if all((path / name).is_file() for name in FILES):
            return path
    raise SessionError(
        f"{', '.join(FILES)} are not below {root}; accept the competition's rules at "
        "https://www.kaggle.com/competitions/digit-recognizer/rules and push again"
    )


def ensure_packages(
    needed: Sequence[tuple[str, str, str]],
    welcome: Sequence[tuple[str, str, str]],
    *,
    internet: bool,
    install: Callable[[str], str | None] | None = None,
) -> list[str]:
    """See to it that packages can be imported.

    Args:
        needed: package, module and oldest version of what a training cannot do without.
        welcome: of what it can do without.
        internet: whether what is missing may be installed.
        install: takes a requirement, returns what went wrong; pip by default.

    Returns:
        The packages that stay older than was ever tried.

    Raises:
        Trouble: something needed is missing and cannot be had.
    """
    left: list[str] = []
    for package, module, oldest in (*needed, *welcome):
        there = importlib.util.find_spec(module) is not None
        old = there and is_older(installed(package), oldest)
        if there and not old:
            continue
        requirement = f"{package}>={oldest}"
        wrong: str | None = "the internet is off"
        if old and package in NEVER_REPLACED:
            wrong = "it is the image's own and not replaced"
        elif internet:
            log(f"installing {requirement}")
            wrong = (install or _pip)(requirement)
        if wrong is None:
            continue
        if old:
            left.append(f"{package} {installed(package)}")
            log(f"{left[-1]} is older than {oldest} ({wrong}); going on")
        elif (package, module, oldest) in welcome:
            log(f"{package} is missing ({wrong}); training goes on without it")
        else:
            raise SessionError(
                f"the package {package} is missing ({wrong}); "
                + ("push again" if internet else "push again with --internet")
            )
    return left


def installed(package: str) -> str:
    """The version of ``package``; empty where it does not say."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def is_older(version: str, oldest: str) -> bool:
    """Whether ``version`` comes before ``oldest``, by their leading numbers; unknown is not."""
    found, least = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in (version, oldest))
    return bool(found) and found < least


def _pip(requirement: str) -> str | None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*command, requirement],
            capture_output=True,
            text=True,
            timeout=PIP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"pip: {error}"
    importlib.invalidate_caches()
    lines = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else f"pip: {lines[-1] if lines else done.returncode}"


def run_with_time_limit(
    command: Sequence[str], env: dict[str, str], folder: Path, seconds: float
) -> tuple[int, str, list[str]]:
    """Run ``command`` in ``folder``, its words passed on to the log, for ``seconds`` at most.

    It is stopped as by Ctrl-C when its time is over or this process is told to end.

    Returns:
        Its exit code, why it was stopped (empty if it was not), the last lines it said.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so would whatever is started here
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    stopped: list[str] = []

    def send(kind: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, kind)  # its workers, too

    def stop(why: str) -> None:
        if not stopped:
            stopped.append(why)
            log(f"{why}: stopping; members that are finished are kept")
            send(signal.SIGINT)
            hard = threading.Timer(GRACE_SECONDS, send, (signal.SIGKILL,))
            hard.daemon = True
            hard.start()

    late = threading.Timer(seconds, stop, (f"{seconds / 3600:.2g} hours are over",))
    late.daemon = True
    late.start()
    before = {}
    for kind in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # not in the main thread
            before[kind] = signal.signal(kind, lambda *_: stop("this session is told to end"))
    tail: deque[str] = deque(maxlen=TAIL)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            log(line.rstrip("\n"))
            if line.strip():
                tail.append(line.strip()[:500])
        code = process.wait()
    finally:
        late.cancel()
        send(signal.SIGKILL)  # whatever a killed training left behind
        for kind, handler in before.items():
            signal.signal(kind, handler)
    return code, stopped[0] if stopped else "", list(tail)


def pack_run(run: Path, out: Path, ended_well: bool) -> dict[str, Any]:
    """Zip the run folder into ``out`` if any of its members is finished.

    Returns:
        For the manifest: state, members, members_done, archive (name, bytes, sha256) and files
        (path in the run → bytes, sha256).
    """
    done = len(list(run.glob("members/*/member.json")))
    config = run / "config.json"
    members = json.loads(config.read_bytes())["members"] if config.is_file() else None
    found: dict[str, Any] = {"members": members, "members_done": done, "files": {}, "archive": None}
    whole = ended_well and (run / "metrics.json").is_file()
    if not done or members is None:
        return {**found, "state": FAILED}
    part = out / f"{ARCHIVE}.part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(run.rglob("*")):
            name = str(PurePosixPath(*path.relative_to(run).parts))
            if path.is_file() and not any(word.startswith(".") for word in name.split("/")):
                archive.write(path, name)
                found["files"][name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    part.replace(out / ARCHIVE)
    size = (out / ARCHIVE).stat().st_size
    found["archive"] = {"name": ARCHIVE, "bytes": size, "sha256": sha256(out / ARCHIVE)}
    return {**found, "state": FINISHED if whole else PARTIAL}


def versions() -> dict[str, str]:
    """Of Python and of the packages that a training uses."""
    found = {package: installed(package) or "missing" for package, _, _ in (*REQUIRED, *OPTIONAL)}
    return {"python": platform.python_version(), **found}


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the bytes of ``path``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(variable: str, usual: str) -> Path | None:
    """The folder a variable names, else the usual one; None where that does not stand."""
    path = Path(os.environ.get(variable) or usual)
    return path.resolve() if path.is_dir() else None
