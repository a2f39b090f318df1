"""Submission files in the form of sample_submission.csv: write, check, read."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import read_json, sha256, write_json, write_text
from kaggle_digits.core.errors import DataError, SubmissionError
from kaggle_digits.data.csv_reader import line_of, read_content, read_int_csv
from kaggle_digits.data.digits import CLASSES

COLUMNS = ["ImageId", "Label"]
HIGHEST_ID = 2**32 - 1


@dataclass(frozen=True)
class Origin:
    """How a submission was made; stored beside it as <name>.json."""

    sha256: str  # of the CSV file
    runs: list[str]  # names of the runs whose predictions it holds
    method: str  # ``run`` for a single run, otherwise the ensembling method
    source: str  # of the data the runs were trained on; only ``kaggle`` may be submitted
    accuracy: float | None  # out-of-fold or hold-out, 0 to 1; None without validation rows
    n_val: int  # the number of rows that accuracy was measured on
    made: str  # creation time, ISO 8601 with time zone


def read_ids(path: Path) -> NDArray[np.int64]:
    """Read the ImageIds of sample_submission.csv, (n,) int64; DataError if they are not 1 to n."""
    ids = _read(path)[:, 0].astype(np.int64)
    _check_ids(path, ids, np.arange(1, len(ids) + 1))
    return ids


def write_submission(path: Path | str, ids: NDArray[np.int64], labels: NDArray[np.integer]) -> None:
    """Write a submission file atomically.

    ``ids`` (n,) are in the order of sample_submission.csv; ``labels`` (n,) are integers 0 to 9.
    Raises SubmissionError if the labels do not match the ids or are not 0 to 9, StorageError if
    the file cannot be written.
    """
    write_text(Path(path), submission_text(path, ids, labels))


def submission_text(path: Path | str, ids: NDArray[np.int64], labels: NDArray[np.integer]) -> str:
    """Return the text for ``write_submission``, with CRLF line ends as in Kaggle's sample."""
    labels = np.asarray(labels)
    if labels.shape != ids.shape:
        raise SubmissionError(f"{path}: {len(labels)} labels for {len(ids)} ids; nothing written")
    if not np.issubdtype(labels.dtype, np.integer) or not np.isin(labels, range(CLASSES)).all():
        raise SubmissionError(f"{path}: labels must be whole numbers 0 to 9; nothing written")
    rows = (f"{i},{label}\r\n" for i, label in zip(ids.tolist(), labels.tolist(), strict=True))
    return ",".join(COLUMNS) + "\r\n" + "".join(rows)


def read_submission(path: Path | str, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Read the labels of a submission file, (n,) uint8, and check that Kaggle would accept it.

    Raises SubmissionError, which names the line, if it does not have the form of
    sample_submission.csv.
    """
    path = Path(path)
    try:
        table = _read(path)
        _check_ids(path, table[:, 0].astype(np.int64), ids)
    except DataError as error:
        raise SubmissionError(f"{error} — this file is not a valid submission") from error
    return table[:, 1].astype(np.uint8)


def write_origin(path: Path, origin: Origin) -> None:
    """Store ``origin`` beside the submission at ``path``."""
    write_json(path.with_suffix(".json"), asdict(origin))


def read_origin(path: Path) -> Origin | None:
    """Read the origin of the submission at ``path``; None if unknown or the file has changed."""
    try:
        origin = Origin(**read_json(path.with_suffix(".json")))
        texts = [origin.method, origin.source, origin.made, *origin.runs]
        is_valid = isinstance(origin.runs, list) and all(isinstance(text, str) for text in texts)
        return origin if is_valid and origin.sha256 == sha256(path) else None
    except (OSError, ValueError, TypeError):
        return None


def _read(path: Path) -> NDArray[np.uint32]:
    highest = dict(zip(COLUMNS, (HIGHEST_ID, CLASSES - 1), strict=True))
    return read_int_csv(path, read_content(path), highest, np.uint32)


def _check_ids(path: Path, ids: NDArray[np.int64], expected: NDArray[np.int64]) -> None:
    if len(ids) != len(expected):
        raise DataError(f"{path} has {len(ids)} rows; expected {len(expected)}")
    for row in np.flatnonzero(ids != expected):
        line = f"{path}, line {line_of(path, int(row))}"
        raise DataError(f"{line}: ImageId is {ids[row]}; expected {expected[row]}")
