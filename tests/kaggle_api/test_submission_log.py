from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.core.errors import SubmissionError
from kaggle_digits.kaggle_api.submission_log import LOG_NAME, LogEntry, read_log, update_log


@pytest.mark.parametrize(
    "text", ["nonsense", "time,file\n1,2\n", "\0\0", "time,file,sha256,run,ref\n", "{}"]
)
def test_damaged_log(submissions_dir: Path, text: str) -> None:
    submissions_dir.mkdir()
    (submissions_dir / LOG_NAME).write_text(text + "\nx,y\n")
    with pytest.raises(SubmissionError, match=r"log\.csv is damaged"):
        read_log(submissions_dir)


def test_log_saved_by_a_spreadsheet_is_read(submissions_dir: Path) -> None:
    submissions_dir.mkdir()
    entry = LogEntry(
        time="2026-11-20T10:00:00+00:00",
        file="a.csv",
        sha256="ab",
        run="dense-1",
        oof_accuracy=None,
        n_val=None,
        ref=1,
        status="complete",
        public_score=0.9,
        message="=words; [kd 12ab]",
    )
    update_log(submissions_dir, lambda _: [entry])
    text = (submissions_dir / LOG_NAME).read_text()
    (submissions_dir / LOG_NAME).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_log(submissions_dir) == [entry]
    assert json.dumps(text)
