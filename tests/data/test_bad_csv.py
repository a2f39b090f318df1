"""CSV files of every shape: the exact numbers or a good refusal, as a slow reader sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.csv_reader import read_content
from tests.robustness import slow_csv
from tests.robustness.csv_cases import FORMS, Form, judge
from tests.robustness.csvs import CASES, run

COLUMNS, HIGHEST = ["label", "p0", "p1"], [9, 255, 255]


@pytest.mark.parametrize("name", CASES)
def test_every_shape(name: str, tmp_path: Path) -> None:
    row = run(name, 80, 1, tmp_path / name)
    assert not row.bad, row.figures
    assert row.times == 80


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"label,p0,p1\r1,2,3\r", [[1, 2, 3]]),
        (b'"label",p0,p1\n\n 1,"2",\t03\n\n', [[1, 2, 3]]),
        (b"\xef\xbb\xbflabel,p0,p1\r\n1,2,3", [[1, 2, 3]]),
        (b"label,p0,p1\n1,2\n", slow_csv.Fault(2)),
        (b"label,p0,p1\n1,2,3\n\n1,2,1.0\n", slow_csv.Fault(4, "p1")),
        (b'label,p0,p1\n1,"2\n",3\n', slow_csv.Fault(3, "p0")),
        (b'label,p0,p1\n1,"2"0,3\n', slow_csv.Fault()),
        (b'label,p0,p1\n""\n', slow_csv.Fault(2)),
        (b"label,p0\n1,2\n", slow_csv.Fault()),
        (b"label,p0,p1\n", slow_csv.Fault()),
        ("label,p0,p1\n1,2,3\n".encode("utf-16"), slow_csv.Fault()),
    ],
)
def test_the_slow_reader(content: bytes, rows: object) -> None:
    assert slow_csv.read(content, COLUMNS, HIGHEST) == rows


def test_a_reader_that_is_too_kind_is_found_out(tmp_path: Path) -> None:
    """Else the first test says nothing."""
    kind = Form("x.csv", COLUMNS, HIGHEST, lambda path: np.array([[1, 2, 3]]))
    for content in (b"label,p0,p1\n1,2,4\n", b"label,p0,p1\n1,2,0x3\n"):
        with pytest.raises(AssertionError):
            judge(kind, content, tmp_path / "x.csv")
    assert judge(kind, b"label,p0,p1\n1,2,3\n", tmp_path / "x.csv")
    assert "submission.csv" in FORMS


@pytest.mark.parametrize("digits", [5_000, 200_000])
def test_a_number_of_many_digits_is_above(digits: int, tmp_path: Path) -> None:
    header = FORMS["test.csv"].columns
    cells = ["0"] * 784
    cells[3] = "9" * digits
    (tmp_path / "test.csv").write_text(",".join(header) + "\n" + ",".join(cells) + "\n")
    with pytest.raises(DataError, match=r"line 2, column pixel3: '99.*…' is above 255"):
        FORMS["test.csv"].read(tmp_path / "test.csv")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "train.csv")
    with pytest.raises(DataError, match="is no file but a device or pipe"):
        read_content(tmp_path / "train.csv")
