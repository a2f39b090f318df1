"""One run folder: the files that a training writes, and how to read them back.

Every file is replaced in one step, so a killed process leaves no partial file. Every reader raises
RunError with one line that names the file and the command that repairs it.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from kaggle_digits.core import trust
from kaggle_digits.core.atomic_io import atomic_write, read_json, wrap_os_errors, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES

Probabilities = NDArray[np.float32]
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
OOF_FILE = "oof.npy"
TEST_FILE = "test.npy"
FIRST_LAYER_FILE = "first_layer.npy"  # in a member's folder
LOCK_FILE = ".lock"
HISTORY_COLUMNS = [
    "member",
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
]


class RunLocked(Exception):  # noqa: N818 (a state, not an error: callers explain it)
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
        """Read config.json: model, recipe, split, seed, data, versions.

        Raises:
            RunError: the file is missing or damaged, or the folder has a link that leads outside.
        """
        reject_external_links(self.path)
        return self._read_json(CONFIG_FILE)

    def metrics(self) -> dict[str, Any]:
        """Read metrics.json: val_accuracy, val_accuracy_ci95, val_loss, n_val, train_seconds, …

        Raises:
            RunError: the run is not finished, the file is damaged, or the folder has a link that
                leads outside.
        """
        if not self.finished:
            raise RunError(
                f"run {self.name} is not finished; resume it: kd train --resume --name {self.name}"
            )
        reject_external_links(self.path)
        return self._read_json(METRICS_FILE)

    def oof(self) -> Probabilities:
        """Read the out-of-fold predictions.

        Returns:
            (n_train, 10) float32 probabilities; NaN in rows that were never validated.

        Raises:
            RunError: oof.npy is missing or damaged.
        """
        return self._read_probabilities(OOF_FILE)

    def test(self) -> Probabilities:
        """Read the predictions for test.csv.

        Returns:
            (n_test, 10) float32 probabilities.

        Raises:
            RunError: test.npy is missing or damaged.
        """
        return self._read_probabilities(TEST_FILE)

    def history(self) -> list[dict[str, float]]:
        """Read history.csv.

        Returns:
            One dict for each epoch of each member, HISTORY_COLUMNS → float; NaN where a value is
            missing.

        Raises:
            RunError: the file is missing or damaged.
        """
        try:
            with (self.path / HISTORY_FILE).open(newline="", encoding="utf-8") as file:
                return [
                    {key: float(value) if value else np.nan for key, value in row.items()}
                    for row in csv.DictReader(file)
                ]
        except FileNotFoundError:
            raise self._missing(HISTORY_FILE) from None
        except (ValueError, TypeError, csv.Error) as error:
            raise self._damaged(HISTORY_FILE) from error

    def member_folder(self, member: int) -> Path:
        """Return the folder of the model and predictions of ``member``, counted from 0."""
        return self.path / "members" / str(member)

    def member_folders(self) -> list[Path]:
        """Return the folders of all members, in order.

        Raises:
            RunError: config.json cannot be read.
        """
        return [self.member_folder(member) for member in range(int(self.config()["members"]))]

    def check_data(self, dataset: Dataset) -> None:
        """Check that the run was trained on ``dataset``.

        Raises:
            RunError: the SHA-256 of train.csv or test.csv is not the one in config.json.
        """
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

        Raises:
            RunError: another process holds it.
        """
        try:
            lock = self.acquire_lock()
        except RunLocked:
            raise RunError(
                f"run {self.name} is being trained by another process; wait until it has ended, "
                "or choose another --name"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def acquire_lock(self) -> FileLock:
        """Acquire the lock of the run without waiting.

        Raises:
            RunLocked: another process holds it, or renamed the folder in the meantime.
        """
        lock = FileLock(self.path / LOCK_FILE)
        inode = self._lock_inode()
        with wrap_os_errors(self.path):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise RunLocked from None
        if inode not in (None, self._lock_inode()):
            lock.release()
            raise RunLocked
        return lock

    def _lock_inode(self) -> int | None:
        try:
            return (self.path / LOCK_FILE).stat().st_ino
        except OSError:
            return None

    def _read_json(self, name: str) -> dict[str, Any]:
        from kaggle_digits.runs.schema import Config, Metrics, SchemaError

        try:
            content: dict[str, Any] = read_json(self.path / name)
            (Config if name == CONFIG_FILE else Metrics).check(content)
        except FileNotFoundError:
            raise self._missing(name) from None
        except SchemaError as error:
            raise self._damaged(name, f" ({error})") from error
        except (OSError, ValueError) as error:
            raise self._damaged(name) from error
        return content

    def _read_probabilities(self, name: str) -> Probabilities:
        try:
            return read_probabilities(self.path / name)
        except FileNotFoundError:
            raise self._missing(name) from None
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(name) from error

    def _missing(self, name: str) -> RunError:
        return RunError(
            f"{self.path / name} is missing; finish the run with: "
            f"kd train --resume --name {self.name}"
        )

    def _damaged(self, name: str, reason: str = "") -> RunError:
        if name == CONFIG_FILE:
            return RunError(
                f"{self.path / name} is damaged{reason} and cannot be restored; delete "
                f"{self.path} and train again"
            )
        return RunError(
            f"{self.path / name} is damaged{reason}; "
            f"delete it and run: kd train --resume --name {self.name}"
        )


def write_probabilities(path: Path, probabilities: Probabilities) -> None:
    """Write (n, 10) float32 probabilities to a .npy file, atomically."""
    with atomic_write(path) as part:
        np.save(part, np.ascontiguousarray(probabilities, np.float32))


def read_probabilities(path: Path) -> Probabilities:
    """Read a .npy file of (n, 10) float32 probabilities.

    Raises:
        OSError, ValueError, EOFError: the file is missing or damaged.
    """
    values = np.load(path, allow_pickle=False)
    if values.ndim != 2 or values.shape[1] != CLASSES or values.dtype != np.float32:
        raise ValueError(f"{path} holds {values.dtype} {values.shape}, not float32 (n, {CLASSES})")
    return np.asarray(values, np.float32)


def reject_external_links(folder: Path) -> None:
    """Check that no symbolic link in ``folder`` leads out of it; ``folder`` itself may be a link.

    Raises:
        RunError: one does, and the user did not give --trust.
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
