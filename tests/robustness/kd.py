"""Run ``kd`` in isolated processes, and kill them on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

KD = [sys.executable, "-m", "kaggle_digits"]
SECONDS_AT_MOST = 300.0
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """The result of a command; ``killed`` is true if it was killed by this suite."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float
    killed: bool = False

    @property
    def errors(self) -> list[str]:
        """Return the lines of stderr that begin with ``error:``."""
        return [line for line in self.stderr.splitlines() if line.startswith("error:")]

    def explain_hang(self) -> Ended:
        """Return this result; one that took too long is not explained."""
        hung = f"\nTraceback: it hung for {self.seconds:.0f} s" if self.killed else ""
        return replace(self, stderr=self.stderr + hung)

    @property
    def explained(self) -> bool:
        """Return whether it succeeded, or failed with one line that explains a user error."""
        if "Traceback" in self.stderr + self.stdout or "a bug in kd" in self.stderr:
            return False
        if self.code == 0:
            return not self.errors
        return self.code in (1, 2) and len(self.errors) == 1 and not self.stdout


def environment(home: Path | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without the user's variables, with one thread per process."""
    kept = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env["PYTHONPATH"] = str(REPOSITORY)
    env["TF_NUM_INTRAOP_THREADS"] = env["OMP_NUM_THREADS"] = "1"
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        env["HOME"] = str(home)
    return env | dict(more or {})


def start(words: tuple[str, ...], folder: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start ``kd`` in a process group of its own, in ``folder``."""
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
    """Run ``kd``; kill its process group after ``kill_after`` seconds if that is given."""
    began = time.monotonic()
    process = start(words, folder, env)
    killed = False
    try:
        out, err = process.communicate(timeout=kill_after or SECONDS_AT_MOST)
    except subprocess.TimeoutExpired:
        killed = True
        kill(process)
        out, err = process.communicate()
    ended = Ended(words, process.returncode, out, err, time.monotonic() - began, killed)
    return ended if kill_after else ended.explain_hang()


def kill(process: subprocess.Popen[str]) -> None:
    """Send SIGKILL to the process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
