"""Create, open and list the runs of a folder."""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kaggle_digits.core.atomic_io import backup_existing
from kaggle_digits.core.errors import RunError, UsageError, did_you_mean
from kaggle_digits.core.output_paths import reject_reserved
from kaggle_digits.runs.run import CONFIG_FILE, LOCK_FILE, TRAIN, Run, RunLockedError, check_name


def check_new_name(folder: Path, name: str) -> str:
    """Return ``name`` if a new run or study in ``folder`` may have it; raise UsageError otherwise.

    Its submission file must not have a name that the toolkit uses either.
    """
    for path in (folder / check_name(name), Path(f"{name}.csv")):
        reject_reserved(path)
    return name


def check_new_run(runs_dir: Path, name: str | None, *, force: bool = False) -> None:
    """Raise RunError if a run called ``name`` exists and not ``force``, UsageError as above."""
    if name is None:
        return
    if (runs_dir / check_new_name(runs_dir, name) / CONFIG_FILE).exists() and not force:
        raise _taken(runs_dir, name)


def remove_lock_owner(folder: Path) -> None:
    """Delete the file that a lock of a run left when the run was renamed; see ``new_lock``."""
    (folder / f"{LOCK_FILE}.owner").unlink(missing_ok=True)


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

    ``name`` None takes the first name of ``prefix``-1, -2, … that no run has and that is not
    ``is_taken``. ``force`` first renames an existing run called ``name`` to ``<name>-old-<k>``.
    ``runs_dir`` is created if missing. A folder still empty when the block fails is removed.

    Raises:
        RunError: a run of that name exists or is being written.
        UsageError: the name is not valid.
        StorageError: the folder cannot be written.
    """
    if name is not None:
        check_new_run(runs_dir, name, force=force)
        candidates = iter([name])
        if force and (runs_dir / name).exists():
            with Run(runs_dir / name).locked():
                backup = backup_existing(runs_dir / name)
            remove_lock_owner(backup)
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
    raise _taken(runs_dir, name)


def _taken(runs_dir: Path, name: str | None) -> RunError:
    return RunError(
        f"run {name} already exists in {runs_dir}; choose another `name`, resume it: "
        f"`kd.resume(dataset, name={name!r})`, or back up the old one: `force=True`"
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
            f"{path} has no {CONFIG_FILE}: it is no run, or damaged; if you do not need its files, "
            "delete the folder yourself"
        )
    names = [run.name for run in list_runs(runs_dir)]
    existing = f"there are: {', '.join(names[:8])}" if names else f"none yet: {TRAIN}"
    existing += f" and {len(names) - 8} more (`kd.runs()`)" if len(names) > 8 else ""
    hint = did_you_mean(name, names)
    raise RunError(f"no run called {name} in {runs_dir}; {hint}{existing}")


def newest_run(runs_dir: Path | str) -> Run:
    """Return the finished run that was created last; UsageError if there is none."""
    finished = [run for run in list_runs(runs_dir) if run.finished]
    if not finished:
        raise UsageError(f"which run? none in {runs_dir} is finished yet; train one: {TRAIN}")
    return max(finished, key=lambda run: run.created())


def list_runs(runs_dir: Path | str) -> list[Run]:
    """Return every folder in ``runs_dir`` that holds a config.json, sorted by name."""
    return [Run(path.parent) for path in sorted(Path(runs_dir).glob(f"*/{CONFIG_FILE}"))]
