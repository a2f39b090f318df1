"""``kd`` in processes of its own, far from whatever stands on this machine; killed on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KD = [sys.executable, "-m", "kaggle_digits"]
SECONDS_AT_MOST = 300.0
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``killed`` says that it did not end by itself."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float
    killed: bool = False

    @property
    def errors(self) -> list[str]:
        """The lines that begin with ``error:``."""
        return [line for line in self.stderr.splitlines() if line.startswith("error:")]

    @property
    def explained(self) -> bool:
        """Whether it succeeded, or failed with one line that is no fault of its own."""
        if "Traceback" in self.stderr + self.stdout or "a fault of kd" in self.stderr:
            return False
        if self.code == 0:
            return not self.errors
        return self.code in (1, 2) and len(self.errors) == 1 and not self.stdout


def environment(home: Path | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the person and machine; two processes at a time have a core each."""
    kept = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env["PYTHONPATH"] = str(REPOSITORY)
    env["TF_NUM_INTRAOP_THREADS"] = env["OMP_NUM_THREADS"] = "1"
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        env["HOME"] = str(home)
    return env | dict(more or {})


def start(words: tuple[str, ...], folder: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Begin ``kd`` in a process group of its own, below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [*KD, *words],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def run(
    words: tuple[str, ...], folder: Path, env: Mapping[str, str], *, kill_after: float | None = None
) -> Ended:
    """Run ``kd``; with ``kill_after`` its whole process group is killed after so many seconds."""
    began = time.monotonic()
    process = start(words, folder, env)
    killed = False
    try:
        out, err = process.communicate(timeout=kill_after or SECONDS_AT_MOST)
    except subprocess.TimeoutExpired:
        killed = True
        kill(process)
        out, err = process.communicate()
    seconds = time.monotonic() - began
    if killed and kill_after is None:
        err += f"\nTraceback: it hung for {seconds:.0f} s"
    return Ended(words, process.returncode, out, err, seconds, killed)


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9 it and whatever it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
