"""Write submissions/NAME.csv, and NAME.json beside it, which records the runs it was made from."""

import hashlib
import itertools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write, file_lock
from kaggle_digits.core.errors import RunError, SubmissionError, UsageError
from kaggle_digits.core.output_paths import CHOOSE_OR_FORCE, back_up, check_output, normalize
from kaggle_digits.data import submission_csv
from kaggle_digits.data.dataset import UNKNOWN, Dataset
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.submission_csv import ONE_RUN, Origin, labels_sha256, record_path
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import list_runs, numbered_names

LOCK_FILE, LOCK_SECONDS = ".kd.lock", 60.0


def submission_path(submissions_dir: Path | str, name: str) -> Path:
    return Path(submissions_dir) / f"{name}.csv"


def is_taken(submissions_dir: Path, name: str) -> bool:
    """Return whether there is a submission called ``name``, or a file where its record would be."""
    path = submission_path(submissions_dir, name)
    return os.path.lexists(path) or os.path.lexists(record_path(path))


def next_free_path(submissions_dir: Path, stem: str) -> Path:
    """Return the first of STEM-1.csv, STEM-2.csv, … that is not taken."""
    names = itertools.filterfalse(partial(is_taken, submissions_dir), numbered_names(stem))
    return submission_path(submissions_dir, next(names))


def another_file(path: Path, run: str, tta: int | None = None) -> str:
    """Return advice on where to write predictions of a run if ``path`` is there already."""
    write = f"kd.open_run({run!r}).write_submission(" + (f"tta={tta}, " if tta else "")
    same = "" if path.stem == run else f"path={str(path)!r}, "
    other, again = f"`{write}path='FILE.csv')`", f"`{write}{same}force=True)`"
    return f"write another file ({other}), or back it up ({again})"


def require_absent(
    path: Path,
    *,
    force: bool,
    own: str | None = None,
    content: str | None = None,
    advice: str = CHOOSE_OR_FORCE,
) -> None:
    """Check that the submission ``path`` and its record may be written.

    SubmissionError: ``path``, or another file than a record in its place, exists and ``force`` is
    not given; ``advice`` says what to do. The unchanged submission of the run called ``own`` is no
    obstacle if it has the SHA-256 ``content``, or if that is not known yet. UsageError: the toolkit
    uses one of the names, or the submission would have the name of its record.
    """
    record = record_path(path)
    if normalize(path.name) == normalize(record.name):
        raise UsageError(f"{path}: a submission is a CSV file, and {record} its record")
    if own is not None:
        fault = f"it was not made from run {own} alone, or was changed since"
        if is_own(path, own):
            fault = f"it holds other predictions of run {own}"
        advice = f"{fault}: {another_file(path, own)}"
    beside = [] if submission_csv.read_record(record) else [record]
    force = force or is_own(path, own, content)
    check_output(path, *beside, force=force, error=SubmissionError, advice=advice)


def move_existing(
    path: Path, *, force: bool, own: str | None = None, content: str | None = None
) -> Path:
    """Return ``path`` after renaming an existing file, or its record, to <name>-old-<k>.

    The submission of the run called ``own`` with the SHA-256 ``content`` is not renamed. Raises the
    errors of require_absent, and StorageError if it cannot be renamed.
    """
    require_absent(path, force=force, own=own, content=content)
    if not is_own(path, own, content):
        back_up(path, record_path(path))
    return path


def is_own(path: Path, run: str | None, content: str | None = None) -> bool:
    origin = submission_csv.read_origin(path) if run is not None else None
    if origin is None or content not in (None, origin.sha256):
        return False
    return origin.ensemble == run or (origin.method, origin.runs) == (ONE_RUN, [run])


def folder_lock(folder: Path) -> AbstractContextManager[None]:
    """Return the lock of the one process that writes submissions: files match their records."""
    busy = SubmissionError(
        f"another kd has been writing to {folder} for a minute; wait until it has ended"
    )
    return file_lock(folder / LOCK_FILE, busy, timeout=LOCK_SECONDS)


def write_submission_file(
    path: Path,
    dataset: Dataset,
    labels: Labels,
    *,
    resolve_path: Callable[[Path], Path] | None = None,
    **origin: Any,
) -> Path:
    """Write ``labels`` in the form of sample_submission.csv, read them back, record their origin.

    ``labels`` are (n_test,) uint8, 0 to 9; an existing file at ``path`` is replaced. Returns the
    file written: ``path``, or what ``resolve_path`` makes of it while no other process can write to
    the folder, because another one may have taken the name. ``origin``: the fields of Origin other
    than ``sha256`` and ``made``. If SubmissionError or StorageError is raised, nothing was written.
    """
    with folder_lock(path.parent):
        path = resolve_path(path) if resolve_path else path
        content = submission_csv.submission_text(path, dataset.ids, labels).encode()
        made = datetime.now().astimezone().isoformat(timespec="seconds")
        record = Origin(sha256=hashlib.sha256(content).hexdigest(), made=made, **origin)
        with atomic_write(path) as part:
            part.write_bytes(content)
            submission_csv.read_submission(part, dataset.ids)
            # First the record: if the process is killed in between, no file lacks its origin.
            submission_csv.write_origin(path, record)
    return path


def write_run_submission(
    run: Run,
    dataset: Dataset,
    path: Path,
    *,
    test: NDArray[np.float32] | None = None,
    force: bool = False,
    **measured: Any,
) -> Path:
    """Write the submission of one finished run: the most probable class of each test row.

    ``test``: (n_test, 10) float32 probabilities; None takes those in test.npy. If they are others,
    ``measured`` has their ``views``, ``accuracy`` and ``n_val``, the fields of Origin. An existing
    file is an obstacle, or is renamed with ``force``, unless the run's own submission has the same
    content. Returns ``path``; raises the errors of write_submission_file and of require_absent, and
    RunError if the run is not finished or damaged.
    """
    origin = _origin(run) | measured
    probabilities = run.test() if test is None else test
    labels = probabilities.argmax(axis=1).astype(np.uint8)
    content = labels_sha256(labels)
    resolve_path = partial(move_existing, force=force, own=run.name, content=content)
    return write_submission_file(path, dataset, labels, resolve_path=resolve_path, **origin)


def find_run_origin(runs_dir: Path, labels: Labels) -> Origin | None:
    """Return the origin of ``labels`` (n_test,) if a run in ``runs_dir`` predicts just these.

    Of several runs, one trained on Kaggle's data is preferred; unreadable runs are skipped.
    """
    origins = []
    for run in list_runs(runs_dir):
        with suppress(RunError):
            if run.finished and np.array_equal(run.test().argmax(axis=1), labels):
                origins.append(Origin(sha256=labels_sha256(labels), made="", **_origin(run)))
    return max(origins, key=lambda origin: origin.is_competition, default=None)


def _origin(run: Run) -> dict[str, Any]:
    """Return the fields of Origin for a finished run."""
    metrics = run.metrics()
    made_from: dict[str, Any] = {"runs": [run.name], "method": ONE_RUN}
    if ensemble := run.config().get("ensemble"):
        names = [base_run["run"] for base_run in ensemble["runs"]]
        made_from = {"runs": names, "method": ensemble["method"], "ensemble": run.name}
    return {
        **made_from,
        "source": run.config()["data"].get("source") or UNKNOWN,
        "accuracy": metrics["val_accuracy"],
        "n_val": metrics["n_val"],
        "leak": metrics.get("leak"),
        "extra_rows": run.extra_rows(),
    }
