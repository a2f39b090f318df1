"""The folder of runs: make one, open one, list them."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kaggle_digits.core.atomic_io import backup_existing, wrap_os_errors
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.runs.run import CONFIG, Busy, Run

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_name(name: str) -> str:
    """Return ``name`` if it can name a run.

    Raises:
        UsageError: it has slashes, dots, blanks or is too long.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a run: 1 to 64 letters, digits, - and _, "
            "beginning with a letter or digit"
        )
    return name


@contextmanager
def create(
    runs_dir: Path,
    name: str | None,
    prefix: str,
    *,
    force: bool = False,
    taken: Callable[[str], bool] = lambda name: False,
) -> Iterator[Run]:
    """Yield an empty run folder, held for this process as by Run.writing.

    Args:
        runs_dir: where runs stand; made if missing.
        name: of the run; None takes ``prefix``-1, -2, … whichever is free.
        prefix: for runs without a name.
        force: whether a run of that name is moved aside first, as ``<name>-old-<k>``.
        taken: further names that are passed over when ``name`` is None.

    Raises:
        RunError: the name is taken.
        UsageError: the name cannot name a run.
        StorageError: the folder cannot be written.
    """
    if name is not None:
        candidates = iter([check_name(name)])
        if force and (runs_dir / name).exists():
            with Run(runs_dir / name).writing():
                backup_existing(runs_dir / name)
    else:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", prefix).strip("-_")[:56] or "run"
        candidates = (n for k in itertools.count(1) if not taken(n := f"{stem}-{k}"))
    for candidate in candidates:
        run = Run(runs_dir / candidate)
        with wrap_os_errors(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
        try:
            lock = run.lock()
        except (Busy, FileNotFoundError):  # held, or just taken away by who held it
            continue
        try:
            # A process killed before it wrote config.json leaves an empty folder: free.
            if _is_empty(run.path):
                try:
                    yield run
                except BaseException:
                    if run.path.is_dir() and _is_empty(run.path):
                        shutil.rmtree(run.path, ignore_errors=True)
                    raise
                return
        finally:
            lock.release()
    raise RunError(
        f"run {name} stands already in {runs_dir}; choose another --name, go on with "
        "--resume, or give --force to put the old one aside"
    )


def _is_empty(folder: Path) -> bool:
    return all(path.name.startswith(".") for path in folder.iterdir())


def open_run(runs_dir: Path | str, name: str) -> Run:
    """The run called ``name``.

    Raises:
        RunError: there is none; names those that stand.
    """
    path = Path(runs_dir) / check_name(name)
    if (path / CONFIG).is_file():
        return Run(path)
    names = [run.name for run in list_runs(runs_dir)]
    if path.is_dir():
        raise RunError(f"{path} has no {CONFIG}: not a run, or damaged; delete it and train again")
    known = f"there are: {', '.join(names[:8])}" if names else "none yet: kd train --model dense"
    raise RunError(f"no run called {name} in {runs_dir}; {known}")


def list_runs(runs_dir: Path | str) -> list[Run]:
    """Every folder in ``runs_dir`` that holds a config.json, by name."""
    return [Run(path.parent) for path in sorted(Path(runs_dir).glob(f"*/{CONFIG}"))]
