"""Run many ``kd`` processes in parallel, forked from processes that have imported everything.

Starting Python and importing the packages takes longer than most commands. Each fork runs
``kaggle_digits.cli.main.main`` with its own environment, folder, stdout, stderr and exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import queue
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

KILLED = -9
# Imported once, before forking; none of these modules starts a thread.
WARM = (
    "kaggle_digits.cli.main",
    "kaggle_digits.kaggle_notebooks.api",
    "kaggle_digits.sources",
    "kaggle_digits.kaggle_api.submit",
    "kaggle_digits.kaggle_notebooks.pull",
    "kaggle_digits.kaggle_notebooks.push",
    "kaggle_digits.training.train",
    "filelock",
    "joblib",
    "kagglesdk",
    "pandas",
    "requests",
    "sklearn.datasets",
    "sklearn.linear_model",
)


@dataclass(frozen=True)
class Ended:
    """The result of one ``kd``: exit code (KILLED after a time-out), output, seconds."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Job:
    """One ``kd`` to run: its arguments, environment and working folder."""

    words: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    seconds: float
    openml: str | None = None


class Runners:
    """Processes forked before this one starts a thread; each runs one ``kd`` at a time."""

    def __init__(self, count: int, *, warm: Sequence[str] = WARM) -> None:
        """Import the modules ``warm`` and fork ``count`` processes."""
        for name in warm:
            importlib.import_module(name)
        self._free: queue.Queue[Connection] = queue.Queue()
        self._pids: list[int] = []
        sys.stdout.flush()
        sys.stderr.flush()
        for _ in range(count):
            ours, theirs = Pipe()
            pid = os.fork()
            if pid == 0:
                ours.close()
                _serve(theirs)
            theirs.close()
            self._pids.append(pid)
            self._free.put(ours)

    def kd(
        self,
        *words: object,
        env: dict[str, str],
        cwd: Path,
        seconds: float = 60.0,
        openml: str | None = None,
    ) -> Ended:
        """Run ``kd`` with the arguments ``words`` in the next free process.

        Args:
            words: arguments of ``kd``.
            env: the whole environment.
            cwd: working folder.
            seconds: time-out, after which it is killed.
            openml: address to use instead of https://www.openml.org/.
        """
        connection = self._free.get()
        try:
            connection.send(Job(tuple(map(str, words)), env, str(cwd), seconds, openml))
            ended = connection.recv()
        finally:
            self._free.put(connection)
        assert isinstance(ended, Ended)
        return ended

    def close(self) -> None:
        """Stop the processes."""
        while not self._free.empty():
            self._free.get().close()
        for pid in self._pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def __enter__(self) -> Runners:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def clean(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without the user's credentials, proxies and folders."""
    removed = ("KAGGLE_", "KD_", "XDG_", "RAY_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(removed) and not name.lower().endswith("_proxy")
    }
    return kept | {"HOME": str(home), "OMP_NUM_THREADS": "1"} | more


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = 0
    try:
        while True:
            connection.send(_run(connection.recv()))
    except (EOFError, OSError):
        pass
    except BaseException:
        status = 1
        sys.excepthook(*sys.exc_info())
    os._exit(status)


def _run(job: Job) -> Ended:
    files = [os.memfd_create(name) for name in ("out", "err")]
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _be_kd(job, files)
    code = KILLED
    while time.monotonic() - started < job.seconds:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.005)
    else:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    seconds = time.monotonic() - started
    streams = [_read(file) for file in files]
    return Ended(code, streams[0], streams[1], seconds)


def _read(file: int) -> str:
    with os.fdopen(file, "rb") as stream:
        stream.seek(0)
        return stream.read().decode("utf-8", "replace")


def _be_kd(job: Job, files: list[int]) -> None:
    os.setpgid(0, 0)
    os.chdir(job.cwd)
    os.environ.clear()
    os.environ.update(job.env)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for to, file in enumerate(files, 1):
        os.dup2(file, to)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
    sys.argv = ["kd", *job.words]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        with _redirect_openml(job.openml):
            from kaggle_digits.cli.main import main

            main()
            code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


@contextlib.contextmanager
def _redirect_openml(openml: str | None) -> Iterator[None]:
    if openml is not None:
        from sklearn.datasets import _openml

        for name, value in vars(_openml).copy().items():
            if isinstance(value, str) and value.startswith("https://") and name.isupper():
                setattr(_openml, name, value.replace("https://www.openml.org/", openml))
    yield
