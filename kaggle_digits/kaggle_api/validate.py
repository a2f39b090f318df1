"""Find the file to submit and check that it may be submitted: no network, no TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.core.errors import DataError, SubmissionError
from kaggle_digits.core.text import plural
from kaggle_digits.data import dataset, submission_csv
from kaggle_digits.data.submission_csv import Origin, labels_sha256
from kaggle_digits.kaggle_api.submission_log import LOG_NAME, SENDING, LogEntry, read_log

REASONS = {
    dataset.OPENML: "openml has the competition's own test images, so the score means nothing",
    dataset.SAMPLE_SOURCE: "the sample is not the competition's data",
    dataset.UNKNOWN: "the source of those files is unknown, or they were changed since",
}
OTHER_REASON = "those are not Kaggle's files, byte for byte"


@dataclass(frozen=True)
class ValidatedSubmission:
    """A submission file in the format that Kaggle accepts."""

    path: Path
    sha256: str  # of its bytes when it was validated
    labels_sha256: str  # the same for every file with these labels; see submission_csv
    rows: int
    origin: Origin | None  # the run or runs it was made from; None if unknown
    warnings: tuple[str, ...]  # what is unusual but allowed, one line each

    @property
    def run(self) -> str:
        """The run or runs, joined by " + "; empty if unknown."""
        return " + ".join(self.origin.runs) if self.origin else ""


def validate_submission(
    path: Path,
    *,
    data_dir: Path | str = "data",
    submissions_dir: Path | None = None,
    find_run: Callable[[NDArray[np.uint8]], Origin | None] | None = None,
) -> ValidatedSubmission:
    """Check a submission file as far as possible without asking Kaggle.

    The origin of a renamed or copied file is recognised by its content, with the records in
    ``submissions_dir`` and with ``find_run``, which returns the origin of (n,) labels.

    Raises SubmissionError if it does not have the format of sample_submission.csv or was not made
    from the competition's own files, DataError if those are missing or damaged.
    """
    folder = Path(data_dir)
    if missing := dataset.missing_files(folder):
        raise DataError(
            f"{', '.join(missing)} not found in {folder}, so {path.name} cannot be checked; "
            "get the data with: `kd.fetch()`"
        )
    _require_competition(path, submission_csv.read_origin(path))
    train_sha256, test_sha256 = (sha256(folder / name) for name in (dataset.TRAIN, dataset.TEST))
    source = dataset.source_of(folder, train_sha256, test_sha256)
    if not source.is_competition:
        raise SubmissionError(
            f"{folder} contains data of source {source.source}, so {path.name} cannot be checked "
            f"against the competition's: {REASONS.get(source.source, OTHER_REASON)}; get its files "
            "with: `kd.fetch(force=True)`"
        )
    digest = sha256(path) if path.is_file() else ""
    labels = submission_csv.read_submission(path, dataset.load_ids(folder))
    origin = submission_csv.find_origin(path, labels, [submissions_dir] if submissions_dir else [])
    if origin is None and find_run is not None:
        origin = find_run(labels)
    _require_competition(path, origin)
    warnings = []
    if origin is None:
        warnings.append(f"it is not known which run {path.name} was made from")
    elif origin.leak:
        warnings.append(f"it has no out-of-fold accuracy: {origin.leak}")
    if origin and origin.extra_rows:
        warnings.append(
            f"{' + '.join(origin.runs)}: trained on {plural(origin.extra_rows, 'extra picture')} "
            "besides the competition's data; check that its rules permit this"
        )
    counts = np.bincount(labels, minlength=10)
    share = counts.max() / len(labels)
    if share > 0.5 and len(labels) > 20:
        warnings.append(f"{100 * share:.0f} % of its rows have the label {counts.argmax()}")
    return ValidatedSubmission(
        path, digest, labels_sha256(labels), len(labels), origin, tuple(warnings)
    )


def _require_competition(path: Path, origin: Origin | None) -> None:
    """Raise SubmissionError if a submission is known to be made from other data."""
    if origin is not None and not origin.is_competition:
        raise SubmissionError(
            f"{path} was made from data of source {origin.source} and cannot be submitted: "
            f"{REASONS.get(origin.source, OTHER_REASON)}; get the competition's data "
            "(`kd.fetch(force=True)`) and train again"
        )


def find_submission_file(target: str | None, submissions_dir: Path) -> Path:
    """Return the file for ``target``: a path, a run's name, or None for the newest unsent file."""
    if target is None:
        return newest_unsent(submissions_dir)
    if not target.strip("./\\ "):
        raise SubmissionError(f"{target!r} is neither a file nor a run; `kd.runs()` lists the runs")
    paths = (Path(target), submissions_dir / target, submissions_dir / f"{target}.csv")
    if existing := next((path for path in paths if path.is_file()), None):
        return existing
    available = ", ".join(path.stem for path in _submission_files(submissions_dir)[:8])
    or_run = "" if target.endswith(".csv") else f" and no {paths[2]}"
    raise SubmissionError(
        f"no file {target}{or_run}; available: {available or 'none yet'}; create the "
        "file of a run with: `kd.open_run(RUN).write_submission()`"
    )


@dataclass(frozen=True)
class LocalSubmission:
    """A submission file, the runs it was made from, and the log entry of its bytes, if known."""

    path: Path
    origin: Origin | None
    entry: LogEntry | None

    @property
    def sent(self) -> bool:
        """Whether Kaggle has received it."""
        return self.entry is not None and self.entry.status != SENDING


def list_submissions(submissions_dir: Path) -> list[LocalSubmission]:
    """Return the submission files, newest first; SubmissionError if the log is damaged."""
    log = sorted(read_log(submissions_dir), key=lambda entry: entry.status != SENDING)
    entries = {entry.sha256: entry for entry in log}
    return [
        LocalSubmission(path, submission_csv.read_origin(path), entries.get(sha256(path)))
        for path in _submission_files(submissions_dir)
    ]


def newest_unsent(submissions_dir: Path) -> Path:
    """Return the newest submission file whose bytes were never submitted."""
    submissions = list_submissions(submissions_dir)
    if not submissions:
        advice = "create one with: `kd.train(dataset, 'dense')`"
        raise SubmissionError(f"no submission in {submissions_dir}; {advice}")
    if unsent := next((one.path for one in submissions if not one.sent), None):
        return unsent
    raise SubmissionError(
        f"every submission in {submissions_dir} was submitted already; train another run, or "
        "submit one again: `kd.submit(FILE, force=True)`"
    )


def _submission_files(submissions_dir: Path) -> list[Path]:
    """Return the submission files, newest first."""
    visible = (path for path in submissions_dir.glob("*.csv") if not path.name.startswith("."))
    files = [path for path in visible if path.name != LOG_NAME and path.is_file()]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
