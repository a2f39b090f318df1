"""The folder of all runs: create a run, open one, list them."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kaggle_digits.core.atomic_io import backup_existing
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.runs.run import CONFIG_FILE, Run, RunLockedError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_name(name: str) -> str:
    """Return ``name`` if it is a valid name of a run; raise UsageError otherwise."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a run: 1 to 64 letters, digits, - and _, "
            "beginning with a letter or digit"
        )
    return name


def numbered_names(prefix: str) -> Iterator[str]:
    """Return the valid names ``prefix``-1, -2, …, without end."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", prefix).strip("-_")[:56] or "run"
    return (f"{stem}-{number}" for number in itertools.count(1))


def is_empty(folder: Path) -> bool:
    """Return whether ``folder`` holds nothing but hidden files such as the lock."""
    return all(path.name.startswith(".") for path in folder.iterdir())


@contextmanager
def create_run(
    runs_dir: Path,
    name: str | None,
    prefix: str,
    *,
    force: bool = False,
    is_taken: Callable[[str], bool] = lambda name: False,
) -> Iterator[Run]:
    """Yield a new, empty run folder and hold its lock, as Run.locked does.

    A folder that is still empty when the block fails is removed.

    Args:
        runs_dir: created if missing.
        name: name of the run; None takes the first free one of ``prefix``-1, -2, …
        force: rename an existing run of that name to ``<name>-old-<k>`` first.
        is_taken: whether to skip a name that no run has; used without ``name``.

    Raises:
        RunError: a run of that name exists or is being written.
        UsageError: the name is not valid.
        StorageError: the folder cannot be written.
    """
    if name is not None:
        candidates = iter([check_name(name)])
        if force and (runs_dir / name).exists():
            with Run(runs_dir / name).locked():
                backup_existing(runs_dir / name)
    else:
        candidates = itertools.filterfalse(is_taken, numbered_names(prefix))
    for candidate in candidates:
        run = Run(runs_dir / candidate)
        with ExitStack() as stack:
            try:
                stack.enter_context(run.locked())
            except (RunLockedError, FileNotFoundError):  # in use, or just removed by its user
                continue
            # A process killed before it wrote config.json leaves an empty folder, which is reused.
            if not is_empty(run.path):
                continue
            try:
                yield run
            except BaseException:
                if run.path.is_dir() and is_empty(run.path):
                    shutil.rmtree(run.path, ignore_errors=True)
                raise
            return
    raise RunError(
        f"run {name} already exists in {runs_dir}; choose another --name, resume it with "
        "--resume, or give --force to back up the old one"
    )


def open_run(runs_dir: Path | str, name: str) -> Run:
    """Return the run called ``name``; finished or not.

    RunError: it does not exist; names those that do. UsageError: the name is not valid.
    """
    path = Path(runs_dir) / check_name(name)
    if (path / CONFIG_FILE).is_file():
        return Run(path)
    if path.is_dir():
        raise RunError(
            f"{path} has no {CONFIG_FILE}: not a run, or damaged; delete it and train again"
        )
    names = ", ".join(run.name for run in list_runs(runs_dir)[:8])
    existing = f"there are: {names}" if names else "none yet: kd train --model dense"
    raise RunError(f"no run called {name} in {runs_dir}; {existing}")


def list_runs(runs_dir: Path | str) -> list[Run]:
    """Return every folder in ``runs_dir`` that holds a config.json, sorted by name."""
    return [Run(path.parent) for path in sorted(Path(runs_dir).glob(f"*/{CONFIG_FILE}"))]
