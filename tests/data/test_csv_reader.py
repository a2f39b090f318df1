"""The strict CSV reader: exact numbers, or an error that names the line and column."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.csv_reader import read_content, read_int_csv, row_lines
from tests.robustness import slow_csv
from tests.robustness.csv_cases import FORMS, Form, judge
from tests.robustness.csvs import CASES, run

COLUMNS = ["label", "p0", "p1"]
HIGHEST = [9, 255, 255]
GOOD = b"label,p0,p1\n1,0,255\n9,7,8\n"


def read(content: bytes) -> np.ndarray:
    table = read_int_csv(
        Path("train.csv"), content, dict(zip(COLUMNS, HIGHEST, strict=True)), np.uint8
    )
    assert table.dtype == np.uint8
    return table


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.rstrip(b"\n"),
        GOOD.replace(b"1,0,255", b'1,"0", 255'),
        GOOD + b"\n\n",
        GOOD.replace(b"\n", b"\r"),
        GOOD.replace(b"\n9", b"\n\n9"),
        GOOD.replace(b"7", b"007"),
    ],
    ids=[
        *("LF", "CRLF", "BOM", "no last line end", "quotes and spaces", "empty lines at the end"),
        *("CR", "empty line between rows", "leading zeros"),
    ],
)
def test_equivalent_files_give_equal_tables(content: bytes) -> None:
    assert read(content).tolist() == [[1, 0, 255], [9, 7, 8]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,256,0", "line 3, column p0: '256' is not an integer from 0 to 255"),
        ("1,0,-1", "line 3, column p1: '-1' is not an integer from 0 to 255"),
        ("10,0,0", "line 3, column label: '10' is not an integer from 0 to 9"),
        ("1,2.5,0", "column p0: '2.5' is not an integer from 0 to 255"),
        ("1,2.0,0", "column p0: '2.0' is not an integer from 0 to 255"),
        ("1,1e1,0", "column p0: '1e1' is not an integer from 0 to 255"),
        ("1,,0", "column p0: a value is missing; expected an integer from 0 to 255"),
        ("1,NaN,0", "column p0: a value is missing; expected an integer from 0 to 255"),
        ("1,seven,0", "column p0: 'seven' is not an integer from 0 to 255"),
        ("1,0x1F,0", "column p0: '0x1F' is not an integer from 0 to 255"),
        ("1,true,0", "column p0: 'true' is not an integer from 0 to 255"),
        ("1,٣,0", "column p0: '٣' is not an integer from 0 to 255"),
        ("1,inf,0", "column p0"),
        ("1,99999999999999999999,0", "'99999999999999999999' is not an integer from 0 to 255"),
        ("1,0", "line 3: 2 values instead of 3"),
        ("1,0,0,0", "line 3: 4 values instead of 3"),
        ("1,\x1b[31m0,0", "column p0"),
    ],
)
def test_wrong_cell_is_reported_with_line_and_column(row: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(f"label,p0,p1\n1,0,0\n{row}\n".encode())
    message = str(caught.value)
    assert words in message
    assert message.startswith("train.csv")
    assert message.endswith("; fetch it again: `kd.fetch(force=True)`")
    assert message.isprintable(), "the message has no line breaks or control sequences"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("p0,label,p1", "has 'p0' instead of label"),
        ("label,p0", "header has 2 columns"),
        ("label,p0,p7", "has 'p7' instead of p1"),
        ("1,0,255", "has '1' instead of label"),
    ],
)
def test_wrong_header_is_reported(header: str, words: str) -> None:
    with pytest.raises(DataError, match=r"expected the 3 columns label,p0,p1") as caught:
        read(f"{header}\n1,0,0\n".encode())
    assert words in str(caught.value)


def test_binary_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"not a UTF-8 CSV file|header"):
        read(b"\xff\xfe\x00l\x00a\n1,2,3\n")
    with pytest.raises(DataError, match=r"train\.csv"):
        read(b"label,p0,p1\n1,\xff,3\n")
    with pytest.raises(DataError, match=r"train\.csv .* first line cannot be read"):
        read(b'label,p0,"p1\n1,2,3\n')


def test_header_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        read(b"label,p0,p1\n")
    with pytest.raises(DataError, match="no rows"):
        read(b"label,p0,p1")


def test_missing_file_empty_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is missing; get it with: `kd.fetch"):
        read_content(tmp_path / "train.csv")
    (tmp_path / "empty.csv").write_bytes(b"\n \n")
    with pytest.raises(DataError, match="is empty"):
        read_content(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_content(tmp_path)


numbers = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=30
)


@given(rows=numbers, line_end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
@settings(max_examples=200, deadline=None)
def test_numbers_are_read_exactly(
    rows: list[tuple[int, int, int]], line_end: str, bom: bool
) -> None:
    lines = [",".join(COLUMNS), *[",".join(map(str, row)) for row in rows]]
    content = ("\ufeff" * bom + line_end.join(lines) + line_end).encode()
    assert read(content).tolist() == [list(row) for row in rows]


@given(cell=st.text(max_size=8), place=st.integers(0, 2))
@settings(max_examples=500, deadline=None)
def test_any_cell_is_read_as_its_number_or_refused(cell: str, place: int) -> None:
    cells = ["1", "2", "3"]
    cells[place] = cell
    quoted = ",".join('"' + text.replace('"', '""') + '"' for text in cells)
    try:
        table = read(f"label,p0,p1\n0,0,0\n{quoted}\n".encode("utf-8", "surrogatepass"))
    except DataError as error:
        assert str(error).isprintable()
        return
    assert cell.strip(" \t").isascii()
    assert int(cell) == table[1, place]
    assert len(table) == 2


@pytest.mark.parametrize("name", CASES)
def test_random_files_agree_with_the_reference_reader(name: str, tmp_path: Path) -> None:
    row = run(name, 80, 1, tmp_path / name)
    assert not row.bad, row.measured
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
def test_reference_reader(content: bytes, rows: object) -> None:
    assert slow_csv.read(content, COLUMNS, HIGHEST) == rows


def test_the_comparison_detects_a_lenient_reader(tmp_path: Path) -> None:
    """Otherwise the comparison on random files would prove nothing."""
    lenient = Form("x.csv", COLUMNS, HIGHEST, lambda path: np.array([[1, 2, 3]]))
    for content in (b"label,p0,p1\n1,2,4\n", b"label,p0,p1\n1,2,0x3\n"):
        with pytest.raises(AssertionError):
            judge(lenient, content, tmp_path / "x.csv")
    assert judge(lenient, b"label,p0,p1\n1,2,3\n", tmp_path / "x.csv")
    assert "submission.csv" in FORMS


@pytest.mark.parametrize("digits", [5_000, 200_000])
def test_number_with_many_digits_is_refused(digits: int, tmp_path: Path) -> None:
    header = FORMS["test.csv"].columns
    cells = ["0"] * 784
    cells[3] = "9" * digits
    (tmp_path / "test.csv").write_text(",".join(header) + "\n" + ",".join(cells) + "\n")
    with pytest.raises(
        DataError, match=r"line 2, column pixel3: '99.*…' is not an integer from 0 to 255"
    ):
        FORMS["test.csv"].read(tmp_path / "test.csv")


def test_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.csv")
    with pytest.raises(DataError, match="is a device or pipe, not a file"):
        read_content(tmp_path / "train.csv")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\n1\n2\n", None),
        (b"a\r\n1\r\n2", None),
        (b"a\r1\r2\r", None),
        (b"a\n1\n2\n\n\n", None),
        (b"a\n1\n\n2", [2, 4]),
        (b"a\r\n\r\n1\r\n2\r\n", [3, 4]),
        (b"a\r1\n\n2\n", [2, 4]),
    ],
)
def test_lines_of_rows(content: bytes, lines: list[int] | None) -> None:
    for rows in (2, None):
        found = row_lines(content, rows)
        assert (None if found is None else found.tolist()) == lines
