"""The log of submissions."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.core.errors import StorageError, SubmissionError
from kaggle_digits.kaggle_api import submission_log
from kaggle_digits.kaggle_api.submission_log import (
    LOG_NAME,
    LogEntry,
    read_log,
    replace_entry,
    update_log,
)
from tests.support.disks import SmallDisk, small_disk

__all__ = ["small_disk"]
ENTRY = LogEntry(
    time="2026-11-20T10:00:00+00:00",
    file="dense-1.csv",
    sha256="97b2ad3b4dd772cd965a74cc88396e863e9e2cf7ecab8c60b7e0dc12dbe0f08f",
    run="dense-1",
    oof_accuracy=0.9765,
    n_val=8400,
    ref=40000001,
    status="complete",
    public_score=0.98765,
    message='dense-1: validation accuracy 97.65 % on 8,400 rows, "ü" [kd 97b2ad3b896f5a25]',
)
SENDING = replace(ENTRY, ref=None, status="sending", public_score=None, message="two [kd 12]")


@pytest.fixture
def written(submissions_dir: Path) -> Path:
    """The log with two entries, without its copy."""
    update_log(submissions_dir, lambda _: [ENTRY, SENDING])
    (submissions_dir / f".{LOG_NAME}.copy").unlink()
    return submissions_dir / LOG_NAME


@pytest.mark.parametrize(
    "text", ["nonsense", "time,file\n1,2\n", "\0\0", "time,file,sha256,run,ref\n", "{}"]
)
def test_damaged_log(submissions_dir: Path, text: str) -> None:
    submissions_dir.mkdir()
    (submissions_dir / LOG_NAME).write_text(text + "\nx,y\n")
    with pytest.raises(SubmissionError, match=r"log\.csv, line 1: no column"):
        read_log(submissions_dir)


def _table(text: str, delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> str:
    """Return the table with another delimiter and, unless that is the comma, decimal commas."""
    rows = list(csv.reader(text.splitlines()))
    if delimiter != ",":
        rows = [[re.sub(r"^0[.]", "0,", cell) for cell in row] for row in rows]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def _whole_lines_quoted(text: str) -> str:
    """Return what that Excel makes of the commas that it took for text."""
    header, *lines = text.splitlines()
    quoted = ['"' + line.replace('"', '""') + '"' if '"' in line else line for line in lines]
    return "\n".join([header, *quoted]) + "\n"


SAVES: dict[str, Callable[[str], bytes]] = {
    "BOM and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "semicolons": lambda text: _table(text, ";").encode(),
    "tabs": lambda text: _table(text, "\t").encode("utf-16"),
    "whole lines quoted": lambda text: _whole_lines_quoted(text).encode(),
    "all quoted": lambda text: _table(text, ",", csv.QUOTE_ALL).encode(),
    "floats of pandas": lambda text: text.replace(
        ",8400,40000001,", ",8400.0,40000001.0,"
    ).encode(),
    "spaces and empty lines": lambda text: ("\n" + text.replace("\n", "\n,,,\n")).encode(),
    "Z and a space in the time": lambda text: text.replace("T10:00:00+00:00", " 10:00Z").encode(),
}


@pytest.mark.parametrize("save", SAVES)
def test_log_saved_by_a_spreadsheet_is_read(written: Path, save: str) -> None:
    written.write_bytes(SAVES[save](written.read_text(encoding="utf-8")))
    assert read_log(written.parent) == [ENTRY, SENDING]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "2026-11-20T10:00:00+00:00",
            "27/11/2026 13:11",
            "column time: '27/11/2026 13:11' is not a time like 2026-11-27T13:11:16",
        ),
        ("2026-11-20T10:00:00+00:00", "46353.5", "column time: '46353.5'"),
        ("40000001", "4E+07", "column ref: '4E\\+07' is not a whole number"),
        ("8400", "8.400", "column n_val: '8.400'"),
        ("0.9765", "97.65%", "column oof_accuracy: '97.65%' is not a number from 0 to 1"),
        ("0.98765", "nan", "column public_score: 'nan'"),
        ("complete", "Complete!", "column status: 'Complete!' is not one of"),
        (ENTRY.sha256, "9.7E+63", "column sha256: '9.7E\\+63'"),
        ("ü", "\udcfc", "column message: .* is not a description in UTF-8"),
        (",complete,", ",complete,0.9,", "11 values instead of 10|column public_score"),
        (",complete", ",", "column status: ''"),
    ],
)
def test_ambiguous_value_is_named_and_the_advice_is_safe(
    written: Path, old: str, new: str, fault: str
) -> None:
    text = written.read_text(encoding="utf-8").replace(old, new, 1)
    written.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SubmissionError, match=rf"log\.csv, line 2.*({fault})") as caught:
        read_log(written.parent)
    assert "correct it and keep it" in str(caught.value)


def test_damaged_log_that_is_moved_away_is_restored(submissions_dir: Path) -> None:
    update_log(submissions_dir, lambda _: [ENTRY, SENDING])
    path = submissions_dir / LOG_NAME
    path.write_text(path.read_text().replace("complete", "done"))
    with pytest.raises(SubmissionError, match=r"restores it from \.log\.csv\.copy"):
        read_log(submissions_dir)
    path.rename(submissions_dir / "away.csv")
    assert read_log(submissions_dir) == [ENTRY, SENDING]
    update_log(submissions_dir, lambda entries: entries)
    assert path.read_text().count("\n") == 3


def test_newer_entries_of_the_log_win_over_the_copy(submissions_dir: Path) -> None:
    update_log(submissions_dir, lambda _: [SENDING])
    path = submissions_dir / LOG_NAME
    path.write_text(path.read_text().replace("sending,", "complete,0.5"))
    assert [(one.status, one.public_score) for one in read_log(submissions_dir)] == [
        ("complete", 0.5)
    ]
    (submissions_dir / f".{LOG_NAME}.copy").write_text("damaged")
    assert [one.status for one in read_log(submissions_dir)] == ["complete"]


def test_columns_of_the_user_are_kept(written: Path) -> None:
    first, second, third = written.read_text().splitlines()
    written.write_text(f"{first},note,\n{second},good,\n{third}\n")
    replace_entry(written.parent, SENDING, replace(SENDING, status="error"))
    lines = written.read_text().splitlines()
    assert lines[0] == first + ",note"
    assert lines[1] == second + ",good"
    assert lines[2].endswith(",two [kd 12],")


def test_linked_log_stays_a_link(tmp_path: Path, submissions_dir: Path) -> None:
    shared = tmp_path / "shared" / "all.csv"
    for folder in (submissions_dir, tmp_path / "second"):
        folder.mkdir()
        (folder / LOG_NAME).symlink_to(shared)
    update_log(submissions_dir, lambda entries: [*entries, ENTRY])
    update_log(tmp_path / "second", lambda entries: [*entries, SENDING])
    assert (submissions_dir / LOG_NAME).is_symlink()
    assert read_log(submissions_dir) == [ENTRY, SENDING]
    assert [path.name for path in submissions_dir.iterdir()] == [LOG_NAME]
    with (  # one lock for the one log
        submission_log.submit_lock(submissions_dir, 0),
        pytest.raises(SubmissionError, match="another kd is submitting"),
        submission_log.submit_lock(tmp_path / "second", 0),
    ):
        pass
    shared.unlink()
    assert read_log(submissions_dir) == [ENTRY, SENDING]


def test_full_disk_changes_neither_the_log_nor_its_copy(small_disk: SmallDisk) -> None:
    folder = small_disk(24)
    update_log(folder, lambda _: [ENTRY])
    (folder / "filler").write_bytes(b"0" * 4096)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    big = replace(SENDING, message="x" * 6000)
    with pytest.raises(StorageError, match="no space left"):
        update_log(folder, lambda entries: [*entries, big])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
