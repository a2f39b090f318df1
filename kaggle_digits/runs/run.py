"""Run folders: create, open and list them, and read and write the files of one run.

Every file is replaced in one step, so a killed process leaves no partial file. Every reader raises
RunError, which names a missing or damaged file and the command that repairs it; the readers of
JSON also raise it if the folder has a link that leads outside.
"""

import csv
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core import trust
from kaggle_digits.core.atomic_io import (
    atomic_write,
    backup_existing,
    file_lock,
    read_json,
    write_json,
)
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.core.output_paths import reject_reserved
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES

Probabilities = NDArray[np.float32]
CONFIG_FILE, METRICS_FILE, HISTORY_FILE = "config.json", "metrics.json", "history.csv"
OOF_FILE, TEST_FILE, LOCK_FILE = "oof.npy", "test.npy", ".lock"
FIRST_LAYER_FILE = "first_layer.npy"  # in a member's folder
HISTORY_COLUMNS = ["member", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
HISTORY_COLUMNS += ["learning_rate", "seconds"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class RunLockedError(RunError):
    """Another process holds the lock of the run folder."""


@dataclass(frozen=True)
class Run:
    """One run folder. It is finished if metrics.json exists, which is written last."""

    path: Path

    @property
    def name(self) -> str:
        """The name of the folder, which is the name of the run."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether all members are trained and all results are written."""
        return (self.path / METRICS_FILE).is_file()

    def config(self) -> dict[str, Any]:
        """Read config.json: model, recipe, split, seed, data, versions."""
        return self._read_json(CONFIG_FILE)

    def metrics(self) -> dict[str, Any]:
        """Read metrics.json: val_accuracy, val_accuracy_ci95, val_loss, n_val, train_seconds, …

        Raises RunError also if the run is not finished.
        """
        if not self.finished:
            raise RunError(
                f"run {self.name} is not finished; resume it: kd train --resume --name {self.name}"
            )
        return self._read_json(METRICS_FILE)

    def oof(self) -> Probabilities:
        """Read the (n_train, 10) float32 out-of-fold probabilities; NaN in rows never validated."""
        with self._explain_errors(OOF_FILE):
            return read_probabilities(self.path / OOF_FILE)

    def test(self) -> Probabilities:
        """Read the (n_test, 10) float32 probabilities for test.csv."""
        with self._explain_errors(TEST_FILE):
            return read_probabilities(self.path / TEST_FILE)

    def history(self) -> list[dict[str, float]]:
        """Read history.csv: HISTORY_COLUMNS → float or NaN, for each epoch of each member."""
        path = self.path / HISTORY_FILE
        with self._explain_errors(HISTORY_FILE), path.open(newline="", encoding="utf-8") as file:
            return [
                {key: float(value) if value else np.nan for key, value in row.items()}
                for row in csv.DictReader(file)
            ]

    def member_folder(self, member: int) -> Path:
        """Return the folder of the model and predictions of ``member``, counted from 0."""
        return self.path / "members" / str(member)

    def member_folders(self) -> list[Path]:
        """Return the folders of all members that config.json counts, in order."""
        return [self.member_folder(member) for member in range(int(self.config()["members"]))]

    def check_data(self, dataset: Dataset) -> None:
        """Raise RunError if the SHA-256 of train.csv or test.csv is not that of the training."""
        recorded = self.config().get("data", {})
        for kind, digits in (("train", dataset.train), ("test", dataset.test)):
            if recorded.get(f"{kind}_sha256") != digits.sha256:
                raise RunError(
                    f"run {self.name} was trained on another {kind}.csv (source: "
                    f"{recorded.get('source', 'unknown')}); name its folder with --data-dir, "
                    "or train again"
                )

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json atomically."""
        write_json(self.path / CONFIG_FILE, config)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json atomically, which marks the run as finished."""
        write_json(self.path / METRICS_FILE, metrics)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the run; the operating system releases it if the process is killed.

        RunLockedError: another process holds it, or renamed the folder in the meantime.
        """
        locked = RunLockedError(
            f"run {self.name} is being trained by another process; wait until it has ended, "
            "or choose another --name"
        )
        inode = self._lock_inode()
        with file_lock(self.path / LOCK_FILE, locked):
            if inode not in (None, self._lock_inode()):
                raise locked
            yield

    def _lock_inode(self) -> int | None:
        try:
            return (self.path / LOCK_FILE).stat().st_ino
        except OSError:
            return None

    def _read_json(self, name: str) -> dict[str, Any]:
        from kaggle_digits.runs.schema import Config, Metrics

        reject_external_links(self.path)
        with self._explain_errors(name):
            content: dict[str, Any] = read_json(self.path / name)
            (Config if name == CONFIG_FILE else Metrics).check(content)
            return content

    @contextmanager
    def _explain_errors(self, name: str) -> Iterator[None]:
        """Raise RunError for an exception that reading the file ``name`` raises."""
        path, resume = self.path / name, f"kd train --resume --name {self.name}"
        try:
            yield
        except FileNotFoundError:
            raise RunError(f"{path} is missing; finish the run with: {resume}") from None
        except (OSError, ValueError, TypeError, EOFError, csv.Error) as error:
            from kaggle_digits.runs.schema import SchemaError

            reason = f" ({error})" if isinstance(error, SchemaError) else ""
            remedy = f"; delete it and run: {resume}"
            if name == CONFIG_FILE:
                remedy = f" and cannot be restored; delete {self.path} and train again"
            raise RunError(f"{path} is damaged{reason}{remedy}") from error


def write_probabilities(path: Path, probabilities: Probabilities) -> None:
    """Write (n, 10) float32 probabilities to a .npy file, atomically."""
    with atomic_write(path) as part:
        np.save(part, np.ascontiguousarray(probabilities, np.float32))


def read_probabilities(path: Path) -> Probabilities:
    """Read (n, 10) float32 probabilities; OSError, ValueError or EOFError if they are damaged."""
    values = np.load(path, allow_pickle=False)
    if values.ndim != 2 or values.shape[1] != CLASSES or values.dtype != np.float32:
        raise ValueError(f"{path} holds {values.dtype} {values.shape}, not float32 (n, {CLASSES})")
    return np.asarray(values, np.float32)


def reject_external_links(folder: Path) -> None:
    """Raise RunError if a symbolic link in ``folder`` leads out of it and --trust was not given.

    ``folder`` itself may be a link.
    """
    if trust.is_enabled():
        return
    root = folder.resolve()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise RunError(
                    f"{path} is a link that leads out of the run; replace it by the file or "
                    f"folder itself, or {trust.HINT}"
                )


def check_name(name: str) -> str:
    """Return ``name`` if it is a valid name of a run; raise UsageError otherwise."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a run: 1 to 64 letters, digits, - and _, "
            "beginning with a letter or digit"
        )
    return name


def check_new_name(folder: Path, name: str) -> str:
    """Return ``name`` if a new run or study in ``folder`` may have it; raise UsageError otherwise.

    Its submission file must not have a name that the toolkit uses either.
    """
    for path in (folder / check_name(name), Path(f"{name}.csv")):
        reject_reserved(path)
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

    ``name`` None takes the first name of ``prefix``-1, -2, … that no run has and that is not
    ``is_taken``. ``force`` first renames an existing run called ``name`` to ``<name>-old-<k>``.
    ``runs_dir`` is created if missing. A folder still empty when the block fails is removed.

    Raises:
        RunError: a run of that name exists or is being written.
        UsageError: the name is not valid.
        StorageError: the folder cannot be written.
    """
    if name is not None:
        candidates = iter([check_new_name(runs_dir, name)])
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
