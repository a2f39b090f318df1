"""Which file to submit, and whether it may leave this machine: no network, no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.core.errors import DataError, SubmissionError
from kaggle_digits.data.dataset import (
    OPENML,
    SAMPLE,
    SAMPLE_SOURCE,
    TEST,
    TRAIN,
    UNKNOWN,
    source_of,
)
from kaggle_digits.data.submission_csv import Origin, read_ids, read_origin, read_submission
from kaggle_digits.kaggle_api.submission_log import COMPLETE, ERROR, LOG_NAME, PENDING, read_log

WHY_NOT = {
    OPENML: "openml's rows contain the competition's own test images, so its score means nothing",
    SAMPLE_SOURCE: "the sample is not the competition's data",
    UNKNOWN: "it is not known where those files came from, or they were changed since",
}


@dataclass(frozen=True)
class ValidatedSubmission:
    """A submission that Kaggle would take.

    Attributes:
        path: the file.
        sha256: of its bytes when it was checked.
        rows: how many.
        origin: the run or runs it was made from, or None where that is unknown.
        warnings: what looks odd but is allowed, one line each.
    """

    path: Path
    sha256: str
    rows: int
    origin: Origin | None
    warnings: tuple[str, ...]

    @property
    def run(self) -> str:
        """The run or runs, joined by " + "; empty where unknown."""
        return " + ".join(self.origin.runs) if self.origin else ""


def validate_submission(path: Path, *, data_dir: Path | str = "data") -> ValidatedSubmission:
    """Look at everything that can be looked at before ``path`` is sent.

    Raises:
        SubmissionError: it is not in the form of sample_submission.csv, or was not made from the
            competition's own files; says why.
        DataError: the competition's files are missing or damaged.
    """
    folder = Path(data_dir)
    missing = [name for name in (TRAIN, TEST, SAMPLE) if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{', '.join(missing)} not found in {folder}, so {path.name} cannot be checked; "
            "get the data with: kd fetch"
        )
    origin = read_origin(path)
    if origin is not None and origin.source != "kaggle":
        raise SubmissionError(
            f"{path} was made from data of source {origin.source} and cannot be submitted: "
            f"{_why_not(origin.source)}; get the competition's (kd fetch --force), train again"
        )
    held = source_of(folder, sha256(folder / TRAIN), sha256(folder / TEST))
    if not held.is_competition:
        raise SubmissionError(
            f"{folder} holds data of source {held.source}, so {path.name} cannot be checked "
            f"against the competition's: {_why_not(held.source)}; get its files with: kd fetch "
            "--force"
        )
    digest = sha256(path) if path.is_file() else ""
    labels = read_submission(path, read_ids(folder / SAMPLE))
    return ValidatedSubmission(
        path, digest, len(labels), origin, tuple(_oddities(path, origin, labels))
    )


def newest_unsent(submissions_dir: Path) -> Path:
    """The newest submission file whose bytes were never sent.

    Raises:
        SubmissionError: there is none.
    """
    files = _files(submissions_dir)
    if not files:
        raise SubmissionError(
            f"no submission in {submissions_dir}; make one with: kd train --model dense"
        )
    sent = {e.sha256 for e in read_log(submissions_dir) if e.status in (PENDING, COMPLETE, ERROR)}
    for path in files:
        if sha256(path) not in sent:
            return path
    raise SubmissionError(
        f"every submission in {submissions_dir} was sent already; train another run, or name one "
        "and send it again: kd submit FILE --force"
    )


def find_submission_file(target: str | None, submissions_dir: Path) -> Path:
    """The file that ``target`` means: a file, a run's name, or None for the newest not sent.

    Raises:
        SubmissionError: there is no such file.
    """
    if target is None:
        return newest_unsent(submissions_dir)
    if not target.strip("./\\ "):
        raise SubmissionError(f"{target!r} is neither a file nor a run")
    places = (Path(target), submissions_dir / target, submissions_dir / f"{target}.csv")
    for path in places:
        if path.is_file():
            return path
    known = ", ".join(path.stem for path in _files(submissions_dir)[:8]) or "none yet"
    raise SubmissionError(
        f"no file {target} and no {places[2]}; there are: {known}; a run's file is written by: "
        "kd predict RUN"
    )


def _files(submissions_dir: Path) -> list[Path]:
    found = [
        path
        for path in submissions_dir.glob("*.csv")
        if path.name != LOG_NAME and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _why_not(source: str) -> str:
    return WHY_NOT.get(source, "those are not Kaggle's files, byte for byte")


def _oddities(path: Path, origin: Origin | None, labels: np.ndarray) -> list[str]:
    found = []
    if origin is None:
        found.append(f"it is not known which run {path.name} came from")
    counts = np.bincount(labels, minlength=10)
    if counts.max() > len(labels) / 2 and len(labels) > 20:
        share = 100 * counts.max() / len(labels)
        found.append(f"{share:.0f} % of its rows say {counts.argmax()}")
    return found
