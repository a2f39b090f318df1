"""The log of submissions, submissions/log.csv: written atomically by one process at a time.

A hidden copy beside it restores the entries of a log that was emptied, cut, deleted or replaced.
"""

import csv
import io
import itertools
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import atomic_write, file_lock
from kaggle_digits.core.errors import SubmissionError
from kaggle_digits.data.csv_reader import find_delimiter, quote_cell

LOG_NAME = "log.csv"
# ``sending`` is written before the call that submits, and replaced after it.
SENDING, PENDING, COMPLETE, ERROR = "sending", "pending", "complete", "error"
STATUSES = (SENDING, PENDING, COMPLETE, ERROR)
TAG = re.compile(r"\[kd ([0-9a-f]+)\]$")


@dataclass(frozen=True)
class LogEntry:
    """One line of the log."""

    time: str  # when it was sent by the clock here, ISO 8601 with time zone; never relied on
    file: str  # the name of the submission file
    sha256: str  # the hash of its bytes
    run: str  # the run or runs it was made from, joined by " + "; empty if unknown
    oof_accuracy: float | None  # out-of-fold or hold-out accuracy, 0 to 1
    n_val: int | None  # the number of rows that accuracy was measured on
    ref: int | None  # Kaggle's number of the submission; None while ``sending``
    status: str  # one of STATUSES
    public_score: float | None  # Kaggle's accuracy on the public part of test.csv
    message: str  # the description sent to Kaggle; ends in a tag that identifies the submission
    extra: dict[str, str] = field(default_factory=dict)  # the columns that a user added

    @property
    def tag(self) -> str | None:
        """The unique tag at the end of the message."""
        return find_tag(self.message)

    def row(self) -> dict[str, Any]:
        """Return the values by column, those that a user added last."""
        return {name: getattr(self, name) for name in COLUMNS} | self.extra


COLUMNS = tuple(column.name for column in fields(LogEntry) if column.name != "extra")


def find_tag(description: str) -> str | None:
    """Return the tag at the end of a description."""
    match = TAG.search(description.rstrip())
    return match[0] if match else None


def read_log(submissions_dir: Path) -> list[LogEntry]:
    """Read all entries, oldest first; none without a log; SubmissionError if it is damaged.

    Entries that only the copy has are included.
    """
    return _merge(*_read_both(_log_path(submissions_dir)))


def update_log(submissions_dir: Path, change: Callable[[list[LogEntry]], list[LogEntry]]) -> None:
    """Replace the log's entries by ``change(entries)`` while holding the log's lock.

    Raises SubmissionError if the log is damaged or another process has held the lock for a minute,
    StorageError if the folder is not writable or the disk is full.
    """
    path = _log_path(submissions_dir)
    busy = SubmissionError(f"{path} is in use by another kd; try again when that has finished")
    with file_lock(path.with_name(f".{path.name}.lock"), busy, timeout=60):
        logged, copied = _read_both(path)
        after = change(_merge(logged, copied))
        if after != logged or after != copied:
            rows = [entry.row() for entry in after]
            columns = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
            out = io.StringIO()
            writer = csv.DictWriter(out, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)  # csv writes None as an empty field
            content = out.getvalue().encode()
            # Both are written before either is renamed: on a full disk, neither is changed.
            with atomic_write(_copy_path(path)) as copy, atomic_write(path) as part:
                copy.write_bytes(content)
                part.write_bytes(content)


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


def submit_lock(submissions_dir: Path, timeout: float) -> AbstractContextManager[None]:
    """Return the lock of the one process that submits with this log.

    SubmissionError: another process has held it for ``timeout`` seconds.
    """
    path = _log_path(submissions_dir)
    busy = SubmissionError(
        f"another kd is submitting from {submissions_dir}; wait until it has finished, then run "
        "the same command again"
    )
    return file_lock(path.with_name(f".{path.name}.submit.lock"), busy, timeout=timeout)


def _log_path(submissions_dir: Path) -> Path:
    """Return the path of the log, or of the file it is linked to, so that a link stays one."""
    path = submissions_dir / LOG_NAME
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _copy_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.copy")


def _read_both(path: Path) -> tuple[list[LogEntry], list[LogEntry]]:
    """Return the entries of the log and of its copy; none of a damaged copy."""
    logged, copied = _read_entries(path), []
    with suppress(SubmissionError):
        copied = _read_entries(_copy_path(path))
    return logged, copied


def _merge(logged: list[LogEntry], copied: list[LogEntry]) -> list[LogEntry]:
    """Return the entries of the log and those that only the copy has."""
    entries = {e.tag or (e.time, e.file, e.ref, e.message): e for e in (*copied, *logged)}
    return list(entries.values())


def _read_entries(path: Path) -> list[LogEntry]:
    """Read a log as kd or a spreadsheet wrote it; SubmissionError for a value that is ambiguous.

    Spreadsheets write a BOM, UTF-16, semicolons, decimal commas, quotes around a whole line, and
    omit empty cells at the end of a line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _damaged(path, f" cannot be read ({error.strerror})") from error
    is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig", "surrogateescape")
    except UnicodeDecodeError:
        raise _damaged(path, " is not text") from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=find_delimiter(text))
    rows: dict[int, list[str]] = {}  # line → cells
    try:
        for row in reader:
            cells = next(csv.reader(row)) if rows and len(row) == 1 else row
            filled = [number for number, cell in enumerate(cells, 1) if cell.strip()]
            if filled:
                rows[reader.line_num] = [cell.strip() for cell in cells[: filled[-1]]]
    except csv.Error as error:
        raise _damaged(path, f", line {reader.line_num}: not CSV ({error})") from error
    if not rows:
        return []
    (line, header), *entries = rows.items()
    if missing := [name for name in COLUMNS if name not in header]:
        raise _damaged(path, f", line {line}: no column {missing[0]}")
    return [_parse_row(path, line, header, cells) for line, cells in entries]


def _parse_row(path: Path, line: int, header: list[str], cells: list[str]) -> LogEntry:
    if len(cells) > len(header):
        fault = f"{len(cells)} values instead of {len(header)}"
        raise _damaged(path, f", line {line}: {fault}")
    values: dict[str, Any] = {}
    for name, cell in itertools.zip_longest(header, cells, fillvalue=""):
        try:
            values[name] = _parse_cell(name, cell)
        except ValueError:
            fault = f"{quote_cell(cell)} is not {EXPECTED.get(name, 'text in UTF-8')}"
            raise _damaged(path, f", line {line}, column {name}: {fault}") from None
    known = {name: values.pop(name) for name in COLUMNS}
    return LogEntry(**known, extra=values)


EXPECTED = {
    "time": "a time like 2026-11-27T13:11:16+00:00",
    "sha256": "a SHA-256 in hexadecimal",
    "oof_accuracy": "a number from 0 to 1",
    "n_val": "a whole number",
    "ref": "a whole number",
    "status": f"one of {', '.join(STATUSES)}",
    "public_score": "a number from 0 to 1",
    "message": "a description in UTF-8",
}


def _parse_cell(name: str, value: str) -> Any:
    """Return the value of a cell; ValueError if it is not what the column expects."""
    match name:
        case "time":
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()
        case "sha256":
            int(value, 16)
            return value.lower()
        case "n_val" | "ref":  # pandas writes 8400.0 in a column with empty cells
            return int(value.removesuffix(".0")) if value else None
        case "oof_accuracy" | "public_score":
            number = float(value.replace(",", ".")) if value else None
            if number is None or 0 <= number <= 1:
                return number
            raise ValueError
    if (name == "status" and value not in STATUSES) or (name == "message" and not value):
        raise ValueError
    value.encode()  # UnicodeEncodeError, a ValueError, for bytes that are not UTF-8
    return value


def _damaged(path: Path, fault: str) -> SubmissionError:
    remedy = "correct it and keep it: without it, only Kaggle's list shows what was submitted"
    if (copy := _copy_path(path)).is_file():
        remedy = f"correct it, or move it away: the next `kd.submit()` restores it from {copy.name}"
    return SubmissionError(f"{path}{fault}; {remedy}")
