"""Submission files in the form of sample_submission.csv: write, check, read."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import read_json, sha256, write_json, write_text
from kaggle_digits.core.errors import DataError, SubmissionError
from kaggle_digits.data.csv_reader import line_of, read_content, read_int_csv
from kaggle_digits.data.digits import CLASSES, Labels

COLUMNS = ["ImageId", "Label"]
HIGHEST_ID = 2**32 - 1
ONE_RUN = "run"  # the method of a submission of a single run
HIGHEST = dict(zip(COLUMNS, (HIGHEST_ID, CLASSES - 1), strict=True))
SAVE_AGAIN = "save it again as CSV in UTF-8: the line ImageId,Label, then one line for each image"


@dataclass(frozen=True)
class Origin:
    """How a submission was made; stored beside it as <name>.json."""

    sha256: str  # of the CSV file
    runs: list[str]  # names of the runs whose predictions it holds
    method: str  # ONE_RUN, otherwise the ensembling method
    source: str  # of the data the runs were trained on; only ``kaggle`` may be submitted
    accuracy: float | None  # out-of-fold or hold-out, 0 to 1; None without validation rows
    n_val: int  # the number of rows that accuracy was measured on
    made: str  # creation time, ISO 8601 with time zone
    leak: str | None = None  # why accuracy is None although rows were held out
    ensemble: str | None = None  # the run that combines the ``runs``
    extra_rows: int = 0  # that the runs were trained on besides the data
    views: int | None = None  # of each image, for test and accuracy; None: as the runs' recipes

    @property
    def is_competition(self) -> bool:
        """Whether the runs were trained on Kaggle's files, so that it may be submitted."""
        return self.source == "kaggle"


def read_ids(path: Path) -> NDArray[np.int64]:
    """Read the ImageIds of sample_submission.csv, (n,) int64; DataError if they are not 1 to n."""
    ids = read_int_csv(path, read_content(path), HIGHEST, np.uint32)[:, 0].astype(np.int64)
    for row in np.flatnonzero(ids != np.arange(1, len(ids) + 1)):
        fault = f"ImageId is {ids[row]}; expected {row + 1}"
        raise DataError(f"{path}, line {line_of(path, int(row))}: {fault}")
    return ids


def write_submission(path: Path | str, ids: NDArray[np.int64], labels: Labels) -> None:
    """Write a submission file atomically.

    ``ids`` (n,) are in the order of sample_submission.csv; ``labels`` (n,) are integers 0 to 9.
    Raises SubmissionError if the labels do not match the ids or are not 0 to 9, StorageError if
    the file cannot be written.
    """
    write_text(Path(path), submission_text(path, ids, labels))


def submission_text(path: Path | str, ids: NDArray[np.int64], labels: Labels) -> str:
    """Return the text for ``write_submission``, with CRLF line ends as in Kaggle's sample."""
    ids, labels = np.asarray(ids), np.asarray(labels)
    if not np.issubdtype(ids.dtype, np.integer):
        raise SubmissionError(f"{path}: the ids must have an integer dtype; nothing written")
    if labels.shape != ids.shape:
        raise SubmissionError(
            f"{path}: the labels have the shape {labels.shape}; expected {ids.shape}, one digit "
            "for each id, as from probabilities.argmax(axis=1); nothing written"
        )
    if not np.issubdtype(labels.dtype, np.integer) or not np.isin(labels, range(CLASSES)).all():
        raise SubmissionError(
            f"{path}: the labels must be 0 to 9, of an integer dtype; nothing written"
        )
    rows = (f"{i},{label}\r\n" for i, label in zip(ids.tolist(), labels.tolist(), strict=True))
    return ",".join(COLUMNS) + "\r\n" + "".join(rows)


def read_submission(path: Path | str, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Read the labels of a submission file, (n,) uint8, and check that Kaggle would accept it.

    The rows may be in any order, as for Kaggle; the labels are returned in the order of ``ids``.
    Raises SubmissionError, which names the line, if it does not have the form of
    sample_submission.csv, or an id is missing or occurs twice.
    """
    path = Path(path)
    try:
        content = read_content(path, advice=SAVE_AGAIN)
        table = read_int_csv(path, content, HIGHEST, np.uint32, advice=SAVE_AGAIN)
        order = _order_by_id(path, table[:, 0].astype(np.int64), ids)
    except DataError as error:
        raise SubmissionError(f"{error} — this file is not a valid submission") from error
    labels: NDArray[np.uint8] = table[order, 1].astype(np.uint8)
    return labels


def labels_sha256(labels: Labels) -> str:
    """Return the SHA-256 of the file that kd writes for ``labels``, which are in order of id.

    It identifies predictions whatever the order of the rows, the quotes and the line ends.
    """
    text = submission_text("", np.arange(1, len(labels) + 1), labels)
    return hashlib.sha256(text.encode()).hexdigest()


def record_path(path: Path) -> Path:
    """Return the path of the record beside the submission at ``path``."""
    return path.with_suffix(".json")


def write_origin(path: Path, origin: Origin) -> None:
    """Store ``origin`` beside the submission at ``path``."""
    write_json(record_path(path), asdict(origin))


def read_origin(path: Path) -> Origin | None:
    """Read the origin of the submission at ``path``; None if unknown or the file has changed."""
    with suppress(OSError):
        origin = read_record(record_path(path))
        return origin if origin and origin.sha256 == sha256(path) else None
    return None


def find_origin(path: Path, labels: Labels, folders: Iterable[Path] = ()) -> Origin | None:
    """Return the origin of a submission, recognised by its content if the file was renamed.

    Without a record of its own, the records beside it and in ``folders`` are searched for the same
    bytes or the same ``labels`` (n,), which are in order of id; one without runs, of a vote of
    unknown files, tells nothing. Of several, one of data from Kaggle is preferred.
    """
    if origin := read_origin(path):
        return origin
    hashes = {sha256(path), labels_sha256(labels)}
    files = {file for folder in (path.parent, *folders) for file in folder.glob("*.json")}
    records = [record for file in sorted(files) if (record := read_record(file))]
    same = [record for record in records if record.runs and record.sha256 in hashes]
    return max(same, key=lambda record: record.is_competition, default=None)


def read_record(path: Path) -> Origin | None:
    """Read the record of a submission; None if it is missing or no record."""
    try:
        origin = Origin(**read_json(path))
    except (OSError, ValueError, TypeError):
        return None
    texts = [origin.method, origin.source, origin.made, origin.sha256, *origin.runs]
    is_valid = (
        isinstance(origin.runs, list)
        and isinstance(origin.extra_rows, int)
        and all(isinstance(text, str) for text in texts)
    )
    return origin if is_valid else None


def _order_by_id(
    path: Path, found: NDArray[np.int64], expected: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the rows of a table whose ids are ``found`` in the order of ``expected``.

    Raises DataError for the first row with another id or with one that occurred before, or for
    the first id that is missing.
    """
    rows: dict[int, int] = {}
    known = set(expected.tolist())
    for row, number in enumerate(found.tolist()):
        if number in known and number not in rows:
            rows[number] = row
            continue
        fault = f"ImageId is {number}; expected {expected.min()} to {expected.max()}"
        if number in rows:
            fault = f"ImageId {number} occurs again, first in line {line_of(path, rows[number])}"
        raise DataError(f"{path}, line {line_of(path, row)}: {fault}")
    if missing := [number for number in expected.tolist() if number not in rows]:
        fault = f"has {len(found)} rows; expected {len(expected)}"
        raise DataError(f"{path} {fault}: ImageId {missing[0]} is missing")
    return np.array([rows[number] for number in expected.tolist()])
