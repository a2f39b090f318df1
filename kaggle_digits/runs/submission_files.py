"""Write submissions/NAME.csv, and NAME.json beside it, which records the runs it was made from."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, backup_existing, file_lock, wrap_os_errors
from kaggle_digits.core.errors import SubmissionError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.submission_csv import Origin, read_submission, submission_text, write_origin
from kaggle_digits.runs.run import Run

LOCK_FILE, LOCK_SECONDS = ".kd.lock", 60.0


def submission_path(submissions_dir: Path | str, name: str) -> Path:
    return Path(submissions_dir) / f"{name}.csv"


def next_free_path(submissions_dir: Path, stem: str) -> Path:
    """Return the first of STEM-1.csv, STEM-2.csv, … that does not exist."""
    paths = (submission_path(submissions_dir, f"{stem}-{k}") for k in itertools.count(1))
    return next(path for path in paths if not path.exists())


def require_absent(path: Path, *, force: bool) -> None:
    """Raise SubmissionError if ``path`` exists and ``force`` is not given."""
    if path.exists() and not force:
        raise SubmissionError(
            f"{path} already exists; give another name, or --force to back up the old one"
        )


def move_existing(path: Path, *, force: bool) -> Path:
    """Return ``path`` after renaming an existing file, and its record, to <name>-old-<k>.

    Raises SubmissionError without ``force``, and StorageError if it cannot be renamed.
    """
    require_absent(path, force=force)
    if path.exists():
        record = path.with_suffix(".json")
        with wrap_os_errors(path):
            backup = backup_existing(path)
            if record.exists():
                record.replace(backup.with_suffix(".json"))
    return path


def write_submission_file(
    path: Path,
    dataset: Dataset,
    labels: NDArray[np.uint8],
    *,
    resolve_path: Callable[[Path], Path] | None = None,
    runs: Sequence[str],
    method: str,
    source: str,
    accuracy: float | None,
    n_val: int,
) -> Path:
    """Write ``labels`` in the form of sample_submission.csv, read them back, record their origin.

    ``labels`` are (n_test,) uint8, 0 to 9; an existing file at ``path`` is replaced. Returns the
    file written: ``path``, or what ``resolve_path`` makes of it while no other process can write to
    the folder, because another one may have taken the name. The other arguments are those of
    Origin. If SubmissionError or StorageError is raised, nothing was written.
    """
    # One process at a time, so that a file and its record match.
    busy = SubmissionError(
        f"another kd has been writing to {path.parent} for a minute; wait until it has ended"
    )
    with file_lock(path.parent / LOCK_FILE, busy, timeout=LOCK_SECONDS):
        path = resolve_path(path) if resolve_path else path
        content = submission_text(path, dataset.ids, labels).encode()
        origin = Origin(
            sha256=hashlib.sha256(content).hexdigest(),
            runs=list(runs),
            method=method,
            source=source,
            accuracy=accuracy,
            n_val=n_val,
            made=datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        with atomic_write(path) as part:
            part.write_bytes(content)
            read_submission(part, dataset.ids)
            # First the record: if the process is killed in between, no file lacks its origin.
            write_origin(path, origin)
    return path


def write_run_submission(
    run: Run,
    dataset: Dataset,
    path: Path,
    *,
    test: NDArray[np.float32] | None = None,
    resolve_path: Callable[[Path], Path] | None = None,
) -> Path:
    """Write the submission of one finished run: the most probable class of each test row.

    ``test``: (n_test, 10) float32 probabilities; None takes those in test.npy. The other arguments
    and errors are those of write_submission_file; RunError: the run is not finished or damaged.
    """
    metrics = run.metrics()
    probabilities = run.test() if test is None else test
    return write_submission_file(
        path,
        dataset,
        probabilities.argmax(axis=1).astype(np.uint8),
        resolve_path=resolve_path,
        runs=[run.name],
        method="run",
        source=str(run.config()["data"]["source"]),
        accuracy=metrics.get("val_accuracy"),
        n_val=metrics.get("n_val") or 0,
    )
