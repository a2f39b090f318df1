"""The log of submissions, submissions/log.csv: written atomically by one process at a time."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import file_lock, write_text
from kaggle_digits.core.errors import SubmissionError

LOG_NAME = "log.csv"
# ``sending`` is written before the call that submits, and replaced after it.
SENDING, PENDING, COMPLETE, ERROR = "sending", "pending", "complete", "error"
STATUSES = (SENDING, PENDING, COMPLETE, ERROR)
NUMBERS = {"oof_accuracy": float, "n_val": int, "ref": int, "public_score": float}
TAG = re.compile(r"\[kd ([0-9a-f]+)\]$")


@dataclass(frozen=True)
class LogEntry:
    """One line of the log."""

    time: str  # when it was sent, ISO 8601 with time zone
    file: str  # the name of the submission file
    sha256: str  # the hash of its bytes
    run: str  # the run or runs it was made from, joined by " + "; empty if unknown
    oof_accuracy: float | None  # out-of-fold or hold-out accuracy, 0 to 1
    n_val: int | None  # the number of rows that accuracy was measured on
    ref: int | None  # Kaggle's number of the submission; None while ``sending``
    status: str  # one of STATUSES
    public_score: float | None  # Kaggle's accuracy on the public part of test.csv
    message: str  # the description sent to Kaggle; ends in a tag that identifies the submission

    @property
    def tag(self) -> str | None:
        """The unique tag at the end of the message."""
        match = TAG.search(self.message)
        return match[0] if match else None

    @property
    def age(self) -> float:
        """Seconds since it was sent."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.time)).total_seconds()


def read_log(submissions_dir: Path) -> list[LogEntry]:
    """Read all entries, oldest first; none without a log; SubmissionError if it is damaged."""
    path = submissions_dir / LOG_NAME
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a BOM
            return [_parse_row(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SubmissionError(
            f"{path} is damaged ({type(error).__name__}), so it is unknown what was submitted; "
            "repair it, or move it away to begin a new one"
        ) from error


def update_log(submissions_dir: Path, change: Callable[[list[LogEntry]], list[LogEntry]]) -> None:
    """Replace the log's entries by ``change(entries)`` while holding the log's lock.

    Raises SubmissionError if the log is damaged or another process has held the lock for a minute,
    StorageError if the folder is not writable or the disk is full.
    """
    path = submissions_dir / LOG_NAME
    busy = SubmissionError(f"{path} is in use by another kd; try again when that has finished")
    with file_lock(submissions_dir / f".{LOG_NAME}.lock", busy, timeout=60):
        before = read_log(submissions_dir)
        after = change(list(before))
        if after != before:
            out = io.StringIO()
            columns = [field.name for field in fields(LogEntry)]
            writer = csv.DictWriter(out, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(entry) for entry in after)  # csv writes None as an empty field
            write_text(path, out.getvalue())


def replace_entry(submissions_dir: Path, old: LogEntry, new: LogEntry | None) -> None:
    """Replace the entry with ``old``'s message by ``new``; None removes it.

    If the old entry is missing, ``new`` is appended, so that every submission is logged.
    """

    def change(entries: list[LogEntry]) -> list[LogEntry]:
        changed = [new if entry.message == old.message else entry for entry in entries]
        if new is not None and new not in changed:
            changed.append(new)
        return [entry for entry in changed if entry is not None]

    update_log(submissions_dir, change)


def utc_now() -> str:
    """Return the current time in the format of the log."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parse_row(row: dict[str, str]) -> LogEntry:
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(LogEntry)}
    for name, parse in NUMBERS.items():
        values[name] = parse(values[name]) if values[name] else None
    entry = LogEntry(**values)
    if entry.status not in STATUSES or entry.message is None:
        raise ValueError(entry.status)
    if datetime.fromisoformat(entry.time).tzinfo is None:
        raise ValueError(entry.time)
    return entry
