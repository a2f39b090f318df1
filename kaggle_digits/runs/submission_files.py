"""Predictions → submissions/NAME.csv, with a record of where they came from beside it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, backup_existing, wrap_os_errors
from kaggle_digits.core.errors import SubmissionError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.submission_csv import Origin, read_submission, submission_text, write_origin
from kaggle_digits.metrics.scores import Score
from kaggle_digits.runs.run import Run

LOCK, LOCK_SECONDS = ".kd.lock", 60.0


def submission_path(submissions_dir: Path | str, name: str) -> Path:
    """Where the submission called ``name`` stands."""
    return Path(submissions_dir) / f"{name}.csv"


def write_predictions(
    path: Path,
    dataset: Dataset,
    labels: NDArray[np.uint8],
    *,
    settle: Callable[[Path], Path] | None = None,
    runs: Sequence[str],
    method: str,
    source: str,
    score: Score | None,
) -> Path:
    """Write ``labels`` in the form of sample_submission.csv, check the file, record its origin.

    Args:
        path: the CSV file to write; what stands there is replaced.
        dataset: whose ids the rows carry.
        labels: (n_test,) uint8.
        settle: asked which file it is to be, when no other process writes into that folder any
            more: somebody may have been quicker.
        runs: names of the runs behind it.
        method: ``run``, or how several were combined.
        source: of the data that the runs were trained on.
        score: on held-out rows, or None.

    Returns:
        The file.

    Raises:
        SubmissionError, StorageError: nothing, or the old file, stands there.
    """
    with _alone_in(path.parent):
        path = settle(path) if settle else path
        content = submission_text(path, dataset.ids, labels).encode()
        origin = Origin(
            sha256=hashlib.sha256(content).hexdigest(),
            runs=list(runs),
            method=method,
            source=source,
            accuracy=score.accuracy if score else None,
            n_val=score.n if score else 0,
            made=datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        with atomic_write(path) as part:
            part.write_bytes(content)
            read_submission(part, dataset.ids)
            # First: killed in between, no file stands whose origin is not known.
            write_origin(path, origin)
    return path


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """A file and the origin beside it are written by one process at a time, so that they match."""
    from filelock import FileLock, Timeout

    with wrap_os_errors(folder / LOCK):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise SubmissionError(
                f"another kd has been writing into {folder} for a minute; try again when it is done"
            ) from None
    try:
        yield
    finally:
        lock.release()


def write_run_submission(
    run: Run,
    dataset: Dataset,
    path: Path,
    *,
    test: NDArray[np.float32] | None = None,
    settle: Callable[[Path], Path] | None = None,
) -> Path:
    """Write the submission of one finished run.

    Args:
        run: the run.
        dataset: whose test rows it predicted.
        path: the CSV file to write.
        test: (n_test, 10) float32; None takes the run's own test.npy.
        settle: as in write_predictions.
    """
    metrics = run.metrics()
    interval = metrics.get("val_accuracy_ci95")
    measured = None
    if metrics.get("val_accuracy") is not None and interval:
        measured = Score(
            float(metrics["val_accuracy"]),
            (float(interval[0]), float(interval[1])),
            float(metrics["val_loss"]),
            int(metrics["n_val"]),
        )
    probabilities = run.test() if test is None else test
    return write_predictions(
        path,
        dataset,
        probabilities.argmax(axis=1).astype(np.uint8),
        settle=settle,
        runs=[run.name],
        method="run",
        source=str(run.config()["data"]["source"]),
        score=measured,
    )


def free_path(submissions_dir: Path, stem: str) -> Path:
    """The first of STEM-1.csv, STEM-2.csv, … that does not stand."""
    return next(
        path
        for number in itertools.count(1)
        if not (path := submission_path(submissions_dir, f"{stem}-{number}")).exists()
    )


def make_room(path: Path, *, force: bool) -> Path:
    """``path``, where nothing stands any more: with ``force`` it and its origin are put aside.

    Raises:
        SubmissionError: it stands and ``force`` is not given.
    """
    refuse_standing(path, force=force)
    if not path.exists():
        return path
    origin = path.with_suffix(".json")
    with wrap_os_errors(path):
        aside = backup_existing(path)
        if origin.exists():
            origin.replace(aside.with_suffix(".json"))
    return path


def refuse_standing(path: Path, *, force: bool) -> None:
    """Refuse to write over ``path``, unless ``force`` is given; nothing is changed yet.

    Raises:
        SubmissionError: it stands and ``force`` is not given.
    """
    if path.exists() and not force:
        raise SubmissionError(
            f"{path} stands already; give another name, or --force to put the old one aside"
        )
