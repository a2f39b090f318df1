"""One run folder: read and write its files.

Every file is replaced in one step, so a killed process leaves no partial file. Every reader raises
RunError, which names a missing or damaged file and the command that repairs it, also if the folder
has a link that leads outside.
"""

import hashlib
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core import trust
from kaggle_digits.core.atomic_io import file_lock, read_file, wrap_os_errors, write_json
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.data.splits import FoldIndices, Split, fingerprint, split
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs import files
from kaggle_digits.runs.files import explain_damage

CONFIG_FILE, METRICS_FILE, HISTORY_FILE = "config.json", "metrics.json", "history.csv"
OOF_FILE, TEST_FILE, LOCK_FILE = "oof.npy", "test.npy", ".lock"
LOCK_IS_INSIDE = sys.platform != "win32"  # Windows cannot rename a folder with an open file
FIRST_LAYER_FILE = "first_layer.npy"  # in a member's folder
BASE_RUNS = "runs"  # in an ensemble's folder: copies of the runs that it combines
TRAIN = "`kd.train(dataset, 'dense')`"
LEAKED_METRICS = ("val_accuracy", "val_accuracy_ci95", "val_loss", "member_val_accuracies")
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

    @property
    def has_all_results(self) -> bool:
        """Whether the run is finished and nobody deleted one of its results since."""
        names = (METRICS_FILE, OOF_FILE, TEST_FILE, HISTORY_FILE)
        return all((self.path / name).is_file() for name in names)

    def config(self) -> dict[str, Any]:
        """Read config.json: model, recipe, split, seed, data, versions; Config.DEFAULTS if missing.

        Every other reader begins with it.
        """
        reject_external_links(self.path)
        path = self.path / CONFIG_FILE
        with explain_damage(path, f"it cannot be restored: delete {self.path} and train again"):
            from kaggle_digits.runs.schema import Config

            return Config.read(path)

    def created(self) -> datetime:
        """Return when it was created, or else last changed, in the local time zone."""
        with suppress(RunError, ValueError):
            return datetime.fromisoformat(str(self.config().get("created"))).astimezone()
        return datetime.fromtimestamp(self.path.stat().st_mtime).astimezone()

    def metrics(self) -> dict[str, Any]:
        """Read metrics.json: val_accuracy, val_accuracy_ci95, val_loss, n_val, train_seconds, …

        Of a run with a ``leak``, they are as ``hide_leaked_metrics`` returns them. Raises RunError
        also if the run is not finished.
        """
        leak = self.leak()
        if not self.finished:
            raise RunError(f"run {self.name} is not finished; resume it: {self.repair_command()}")
        with self._explain_damage(METRICS_FILE) as path:
            from kaggle_digits.runs.schema import Metrics

            return hide_leaked_metrics(Metrics.read(path), leak)

    def oof(self, labels: Labels | None = None) -> Probabilities:
        """Read the (n_train, 10) float32 out-of-fold probabilities; NaN in rows never validated.

        Given the ``labels``, (n_train,) uint8, it must have the accuracy in metrics.json, so that
        the predictions of another run or of rows in another order are noticed.
        """
        n_train = self.config()["data"].get("n_train")
        with self._explain_damage(OOF_FILE) as path:
            oof = files.read_probabilities(path, n_train, nan_rows=True)
            metrics: dict[str, Any] = self.metrics() if self.finished else {"n_val": 0}
            n_val, found = metrics["n_val"], int((~np.isnan(oof[:, 0])).sum())
            if n_val not in (0, found):
                raise ValueError(f"it has predictions of {found} rows, metrics.json of {n_val}")
            recorded: Any = metrics.get("leaked_accuracy") or metrics.get("val_accuracy")
            measured = score(oof, labels) if recorded and labels is not None else None
            if measured and not math.isclose(measured.accuracy, recorded, abs_tol=1e-6):
                raise ValueError("its accuracy is not the one in metrics.json")
            return oof

    def test(self) -> Probabilities:
        """Read the (n_test, 10) float32 probabilities for test.csv."""
        n_test = self.config()["data"].get("n_test")
        with self._explain_damage(TEST_FILE) as path:
            return files.read_probabilities(path, n_test)

    def read_history(self) -> list[dict[str, float]]:
        """Read history.csv: HISTORY_COLUMNS → float or NaN, for each epoch of each member."""
        self.config()
        with self._explain_damage(HISTORY_FILE) as path:
            return files.read_history(path)

    def teachers(self) -> list[str]:
        """Return the run that made its pseudo-labels, the run that made those of that one, …"""
        return _teachers(self.config())

    def extra_rows(self) -> int:
        """Return how many rows besides train.csv it learned from, also through pseudo-labels."""
        config = self.config()
        own, of_teacher = config.get("extra") or {}, config.get("pseudo") or {}
        return (own.get("rows") or 0) + (of_teacher.get("extra_rows") or 0)

    def leak(self, students: tuple[str, ...] = ()) -> str | None:
        """Return why the out-of-fold predictions are not clean; None if they are.

        Labels of validation rows leak through pseudo-labels whose models were trained on them or on
        other pseudo-labels with a leak, through any number of runs. ``students`` are runs taught by
        this one, for runs in a circle.
        """
        config = self.config()
        if leak := config.get("leak"):  # of one of the runs of an ensemble
            return str(leak)
        teachers, pseudo = _teachers(config), config.get("pseudo") or {}
        is_clean = not teachers or pseudo.get("held_out_apart")
        if is_clean and teachers and not pseudo.get("teachers"):
            # An older version, which did not look at the teacher's own pseudo-labels, made it.
            students = (*students, self.name)
            try:
                teacher = Run(self.path.parent / check_name(teachers[0]))
                is_clean = teacher.name not in students and not teacher.leak(students)
            except (RunError, UsageError):  # deleted or damaged: nobody knows
                is_clean = False
        if is_clean:
            return None
        chain = ", which learned from run ".join(teachers)
        return f"labels of its validation rows leaked through the pseudo-labels of run {chain}"

    def folds(self, dataset: Dataset) -> list[FoldIndices]:
        """Reproduce the folds that the run was trained on.

        RunError: config.json does not describe them, or this version of scikit-learn makes others.
        With those, members would be matched with rows that they were trained on.
        """
        config = self.config()
        settings = {key: value for key, value in config["split"].items() if value is not None}
        # Every kind of split records the settings of all.
        unused = {"holdout": "folds", "folds": "val_fraction"}
        settings.pop(unused.get(settings.setdefault("kind", "holdout"), ""), None)
        reason = "another version of scikit-learn splits differently, or its split was changed"
        try:
            folds = split(dataset.labels, Split(**settings))
            if config["split_fingerprint"] == fingerprint(folds):
                return folds
        except TypeError:
            reason = "its split has settings that this version does not know"
        except UsageError as error:
            reason = str(error)
        raise RunError(
            f"the validation rows of run {self.name} cannot be reproduced ({reason}); train it "
            "again under another name"
        )

    def member_folder(self, member: int) -> Path:
        """Return the folder of the model and predictions of ``member``, counted from 0."""
        return self.path / "members" / str(member)

    def member_folders(self) -> list[Path]:
        """Return the folders of all members of ``trained_runs``, in order."""
        return [
            run.member_folder(member)
            for run in self.trained_runs()
            for member in range(run.config()["members"])
        ]

    def base_runs(self) -> list["Run"]:
        """Return the runs that an ensemble combines: copies in its folder; none of a trained run.

        RunError: a copy is missing, or was changed since the ensemble was made.
        """
        base_runs = []
        for recorded in (self.config().get("ensemble") or {"runs": ()})["runs"]:
            run = Run(self.path / BASE_RUNS / check_name(recorded["run"]))
            try:
                fault = "was changed" if run.sha256() != recorded["sha256"] else ""
            except (OSError, ValueError):
                fault = "is missing"
            if fault:
                raise RunError(
                    f"{run.path}, which ensemble {self.name} needs, {fault}; make the ensemble "
                    f"again: {self.repair_command()}"
                )
            base_runs.append(run)
        return base_runs

    def trained_runs(self) -> list["Run"]:
        """Return the run itself, or those that an ensemble and the ensembles in it combine."""
        base_runs = self.base_runs()
        return [run for one in base_runs for run in one.trained_runs()] if base_runs else [self]

    def sha256(self) -> str:
        """Return the hash of config.json and metrics.json, which say how the members are used.

        Raises OSError or ValueError if one cannot be read.
        """
        paths = (self.path / name for name in (CONFIG_FILE, METRICS_FILE))
        return hashlib.sha256(
            b"".join(read_file(one, files.MAX_BYTES) for one in paths)
        ).hexdigest()

    def repair_command(self) -> str:
        """Return the call that writes missing results again."""
        ensemble = self.config().get("ensemble")
        if not ensemble:
            return f"`kd.resume(dataset, name={self.name!r})`"
        names = ", ".join(repr(run["run"]) for run in ensemble["runs"])
        settings = f"method={ensemble['method']!r}, name={self.name!r}, force=True"
        return f"`kd.ensemble({names}, {settings})`"

    def check_data(self, dataset: Dataset, kinds: Sequence[str] = ("train", "test")) -> None:
        """Raise RunError if the SHA-256 of train.csv or test.csv is not that of the training."""
        recorded = self.config()["data"]
        for kind in kinds:
            if recorded.get(f"{kind}_sha256") != getattr(dataset, kind).sha256:
                raise RunError(
                    f"run {self.name} was trained on another {kind}.csv (source: "
                    f"{recorded.get('source', 'unknown')}); name its folder: `data_dir`, "
                    "or train again"
                )

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json atomically."""
        write_json(self.path / CONFIG_FILE, config)

    def write_predictions(
        self, oof: Probabilities, test: Probabilities, history: Iterable[dict[str, Any]] = ()
    ) -> None:
        """Write oof.npy, test.npy and history.csv; the run is unfinished until write_metrics."""
        with wrap_os_errors(self.path):
            (self.path / METRICS_FILE).unlink(missing_ok=True)
        files.write_probabilities(self.path / OOF_FILE, oof)
        files.write_probabilities(self.path / TEST_FILE, test)
        files.write_history(self.path / HISTORY_FILE, history)

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
            "or choose another `name`"
        )
        if not LOCK_IS_INSIDE:
            with file_lock(self.path.with_name(f".{self.name}.lock"), locked):
                self.path.mkdir(exist_ok=True)
                yield
            return
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

    @contextmanager
    def _explain_damage(self, name: str) -> Iterator[Path]:
        """Yield the path of a file that ``repair_command`` writes again if it is missing."""
        path = self.path / name

        def remedy() -> str:
            verb = "delete it and run" if os.path.lexists(path) else "finish the run with"
            return f"{verb}: {self.repair_command()}"

        with explain_damage(path, remedy):
            yield path


def _teachers(config: dict[str, Any]) -> list[str]:
    pseudo = config.get("pseudo")
    return (pseudo.get("teachers") or [str(pseudo.get("run"))]) if pseudo else []


def hide_leaked_metrics(metrics: dict[str, Any], leak: str | None) -> dict[str, Any]:
    """Return the metrics without those that a leak makes worthless.

    ``val_accuracy``, its interval, ``val_loss`` and the accuracies of members become None, as in a
    run without validation rows. The accuracy moves to ``leaked_accuracy``; ``leak`` has the reason.
    """
    if not leak:
        return metrics
    hidden = {**metrics, "leak": leak, **dict.fromkeys(LEAKED_METRICS)}
    hidden["leaked_accuracy"] = metrics.get("leaked_accuracy") or metrics["val_accuracy"]
    if designs := metrics.get("designs"):
        hidden["designs"] = [{**design, "val_accuracy": None} for design in designs]
    return hidden


def reject_external_links(folder: Path) -> None:
    """Raise RunError if a symbolic link in ``folder`` leads out of it and --trust was not given.

    ``folder`` itself may be a link.
    """
    if trust.is_enabled():
        return
    root = folder.resolve()
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            # realpath, because resolve() raises RuntimeError for links in a circle.
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                raise RunError(
                    f"{path} is a link that leads out of the run; replace it by the file or "
                    f"folder itself, or {trust.HINT}"
                )


def check_name(name: str) -> str:
    """Return ``name`` if it is a valid name of a run; raise UsageError otherwise."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a run: 1 to 64 letters, digits, - and _, "
            "beginning with a letter or digit"
        )
    return name
