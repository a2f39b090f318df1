"""Predictions → submissions/NAME.csv, with a record of where they came from beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.folder import Dataset
from kaggle_digits.data.submission import (
    Origin,
    read_submission,
    write_origin,
    write_submission,
)
from kaggle_digits.errors import SubmissionError
from kaggle_digits.files import explain_storage, name_aside, sha256
from kaggle_digits.runs import Run
from kaggle_digits.scores import Score


def submission_path(submissions_dir: Path | str, name: str) -> Path:
    """Where the submission called ``name`` stands."""
    return Path(submissions_dir) / f"{name}.csv"


def write_predictions(
    path: Path,
    dataset: Dataset,
    labels: NDArray[np.uint8],
    *,
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
        runs: names of the runs behind it.
        method: ``run``, or how several were combined.
        source: of the data that the runs were trained on.
        score: on held-out rows, or None.

    Returns:
        ``path``.

    Raises:
        SubmissionError, StorageError: nothing, or the old file, stands there.
    """
    write_submission(path, dataset.ids, labels)
    read_submission(path, dataset.ids)
    write_origin(
        path,
        Origin(
            sha256=sha256(path),
            runs=list(runs),
            method=method,
            source=source,
            accuracy=score.accuracy if score else None,
            n_val=score.n if score else 0,
            made=datetime.now().astimezone().isoformat(timespec="seconds"),
        ),
    )
    return path


def write_run_submission(
    run: Run, dataset: Dataset, path: Path, *, test: NDArray[np.float32] | None = None
) -> Path:
    """Write the submission of one finished run.

    Args:
        run: the run.
        dataset: whose test rows it predicted.
        path: the CSV file to write.
        test: (n_test, 10) float32; None takes the run's own test.npy.
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


def make_room(path: Path, *, force: bool) -> None:
    """Refuse to write over ``path``, or with ``force`` put it and its origin aside.

    Raises:
        SubmissionError: it stands and ``force`` is not given.
    """
    if not path.exists():
        return
    if not force:
        raise SubmissionError(
            f"{path} stands already; give another name, or --force to put the old one aside"
        )
    aside = name_aside(path)
    with explain_storage(path):
        path.rename(aside)
        if path.with_suffix(".json").exists():
            path.with_suffix(".json").rename(aside.with_suffix(".json"))
