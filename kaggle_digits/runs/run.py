"""The run folder: what a training leaves, written whole and read with its damage explained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, read_json, wrap_os_errors, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.runs import schema
from kaggle_digits.runs.schema import refuse_links

Probabilities = NDArray[np.float32]
CONFIG, METRICS, HISTORY, OOF, TEST = (
    "config.json",
    "metrics.json",
    "history.csv",
    "oof.npy",
    "test.npy",
)
LOCK = ".lock"
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


class Busy(Exception):  # noqa: N818 (a state, not an error: callers explain it)
    """Another process holds the run folder."""


@dataclass(frozen=True)
class Run:
    """One run folder. A run is finished when metrics.json stands in it: that is written last."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether training, predicting and writing all ended."""
        return (self.path / METRICS).is_file()

    def config(self) -> dict[str, Any]:
        """config.json: model, recipe, seed, split, data, versions."""
        refuse_links(self.path)
        return self._json(CONFIG, schema.CONFIG)

    def metrics(self) -> dict[str, Any]:
        """metrics.json: val_accuracy, val_accuracy_ci95, val_loss, n_val, train_seconds, …"""
        if not self.finished:
            raise RunError(
                f"run {self.name} is not finished; go on with: kd train --resume --name {self.name}"
            )
        refuse_links(self.path)
        return self._json(METRICS, schema.METRICS)

    def oof(self) -> Probabilities:
        """(n_train, 10) float32 out-of-fold probabilities, NaN where never validated."""
        return self._probabilities(OOF)

    def test(self) -> Probabilities:
        """(n_test, 10) float32 probabilities."""
        return self._probabilities(TEST)

    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv, one an epoch and member; NaN where a figure is missing."""
        import csv

        path = self.path / HISTORY
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return [
                    {key: float(value) if value else np.nan for key, value in row.items()}
                    for row in csv.DictReader(file)
                ]
        except FileNotFoundError:
            raise self._missing(HISTORY) from None
        except (ValueError, TypeError, csv.Error) as error:
            raise self._damaged(HISTORY) from error

    def member_folder(self, member: int) -> Path:
        """Where member ``member`` keeps its model and predictions."""
        return self.path / "members" / str(member)

    def member_folders(self) -> list[Path]:
        """The folders of all members, in order."""
        return [self.member_folder(member) for member in range(int(self.config()["members"]))]

    def check_data(self, dataset: Dataset) -> None:
        """Refuse data that this run was not trained on.

        Raises:
            RunError: train.csv or test.csv is another.
        """
        recorded = self.config().get("data", {})
        for kind, digits in (("train", dataset.train), ("test", dataset.test)):
            if recorded.get(f"{kind}_sha256") != digits.sha256:
                raise RunError(
                    f"run {self.name} was trained with another {kind}.csv (source: "
                    f"{recorded.get('source', 'unknown')}); give its folder by --data-dir, "
                    "or train again"
                )

    def write_probabilities(self, name: str, probabilities: Probabilities) -> None:
        """Write oof.npy or test.npy, whole."""
        write_probabilities(self.path / name, probabilities)

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json, whole."""
        write_json(self.path / CONFIG, config)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json, whole: the run is finished."""
        write_json(self.path / METRICS, metrics)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run for one process; released even by kill -9.

        Raises:
            RunError: another process is training in this folder.
        """
        try:
            lock = self.lock()
        except Busy:
            raise RunError(
                f"run {self.name} is being trained by another process; wait for it, "
                "or choose another --name"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def lock(self) -> FileLock:
        """The run's lock, taken; raises Busy where another process holds it."""
        lock = FileLock(self.path / LOCK)
        before = self._lock_number()
        with wrap_os_errors(self.path):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise Busy from None
        if before not in (None, self._lock_number()):  # this folder was put aside at that moment
            lock.release()
            raise Busy
        return lock

    def _lock_number(self) -> int | None:
        try:
            return (self.path / LOCK).stat().st_ino
        except OSError:
            return None

    def _json(self, name: str, rules: dict[str, Any]) -> dict[str, Any]:
        try:
            content = read_json(self.path / name)
        except FileNotFoundError:
            raise self._missing(name) from None
        except (OSError, ValueError) as error:
            raise self._damaged(name) from error
        if not isinstance(content, dict):
            raise self._damaged(name)
        try:
            schema.check_form(content, rules)
        except schema.Odd as error:
            raise self._damaged(name, f" ({error})") from error
        return content

    def _probabilities(self, name: str) -> Probabilities:
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

    def _damaged(self, name: str, why: str = "") -> RunError:
        if name == CONFIG:
            return RunError(
                f"{self.path / name} is damaged{why}: nothing else says how run {self.name} was "
                f"trained; delete {self.path} and train again"
            )
        return RunError(
            f"{self.path / name} is damaged{why}; "
            f"delete it and run: kd train --resume --name {self.name}"
        )


def write_probabilities(path: Path, probabilities: Probabilities) -> None:
    """Write (n, 10) float32 probabilities as .npy, whole."""
    with atomic_write(path) as part:
        np.save(part, np.ascontiguousarray(probabilities, np.float32))


def read_probabilities(path: Path) -> Probabilities:
    """Read (n, 10) float32 probabilities.

    Raises:
        OSError, ValueError, EOFError: the file is missing or damaged.
    """
    values = np.load(path, allow_pickle=False)
    if values.ndim != 2 or values.shape[1] != CLASSES or values.dtype != np.float32:
        raise ValueError(f"{path} holds {values.dtype} {values.shape}, not float32 (n, {CLASSES})")
    return np.asarray(values, np.float32)
