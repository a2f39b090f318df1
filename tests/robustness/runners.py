"""Run many ``kd`` processes in parallel, forked from processes that have imported everything.

Starting Python and importing the packages takes longer than most commands. Each fork runs
``kaggle_digits.cli.main.main`` with its own environment, folder, stdout, stderr and exit code.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import os
import queue
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from tests.robustness.kd import SECONDS_AT_MOST, Ended

# Imported once, before forking; none of these modules starts a thread.
WARM = (
    *("cli.main", "evaluation.data_inspection", "evaluation.evaluate", "evaluation.label_errors"),
    *("ensembling.ensemble_run", "executors.local", "imaging.reader", "kaggle_api.submit"),
    *("kaggle_notebooks.api", "kaggle_notebooks.pull", "kaggle_notebooks.push", "runs.store"),
    *("sources.archive", "sources.fetch", "sources.openml", "sources.sample", "training.train"),
)
OTHERS = (
    *("PIL.PngImagePlugin", "filelock", "jinja2", "joblib", "kagglesdk", "kaggle_digits.tuning"),
    *("matplotlib.backends.backend_agg", "optuna", "pandas", "requests", "scipy.ndimage"),
    *("scipy.optimize", "skops.io", "sklearn.datasets", "sklearn.linear_model"),
    "sklearn.neural_network",
    "typer._adapters",  # typer imports it, and with it pydantic, when it reads options
)
PR_SET_CHILD_SUBREAPER = 36  # of Linux: the orphans of a killed process are waited for here


@dataclass(frozen=True)
class Job:
    """One ``kd`` to run: its arguments, environment and working folder."""

    words: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    kill_after: float | None
    openml: str | None


class Runners:
    """Processes forked before this one starts a thread; each runs one ``kd`` at a time."""

    def __init__(self, count: int, *, keras: bool = False) -> None:
        """Import the packages, with Keras if asked for, and fork ``count`` processes."""
        for name in (*(f"kaggle_digits.{name}" for name in WARM), *OTHERS):
            importlib.import_module(name)
        if keras:  # TensorFlow starts its threads at the first computation
            importlib.import_module("kaggle_digits.models.backend").keras()
        gc.collect()
        gc.freeze()  # so that forks share this memory
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

    def run(
        self,
        words: tuple[str, ...],
        folder: Path,
        env: Mapping[str, str],
        *,
        kill_after: float | None = None,
        openml: str | None = None,
    ) -> Ended:
        """Run ``kd`` in the next free process, as ``tests.robustness.kd.run`` does.

        Args:
            words: arguments of ``kd``.
            folder: working folder; it is created if necessary.
            env: the whole environment.
            kill_after: seconds after which its process group is killed.
            openml: address to use instead of https://www.openml.org/.
        """
        folder.mkdir(parents=True, exist_ok=True)
        connection = self._free.get()
        try:
            connection.send(Job(words, dict(env), str(folder), kill_after, openml))
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
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
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
    with contextlib.suppress(ProcessLookupError):
        os.setpgid(pid, pid)  # also here, because it may be killed before it has done so
    while not (done := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() - started > (job.kill_after or SECONDS_AT_MOST):
            os.killpg(pid, signal.SIGKILL)
            done = os.waitpid(pid, 0)
            with contextlib.suppress(ChildProcessError):
                while True:  # until the last process of its group has ended
                    os.waitpid(-pid, 0)
            break
        time.sleep(0.005)
    seconds = time.monotonic() - started
    out, err = (_read(file) for file in files)
    code = os.waitstatus_to_exitcode(done[1])
    ended = Ended(job.words, code, out, err, seconds, code == -signal.SIGKILL)
    return ended if job.kill_after else ended.explain_hang()


def _read(file: int) -> str:
    with os.fdopen(file, "rb") as stream:
        stream.seek(0)
        return stream.read().decode("utf-8", "surrogateescape")


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
