"""Every way in which a CSV file can be wrong, each with its own words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.csv_reader import read_content, read_int_csv

COLUMNS = ["label", "p0", "p1"]
HIGHEST = [9, 255, 255]
GOOD = b"label,p0,p1\n1,0,255\n9,7,8\n"


def read(content: bytes) -> np.ndarray:
    rows, blocks = read_int_csv(Path("train.csv"), content, COLUMNS, HIGHEST, np.uint8)
    table = np.concatenate(list(blocks))
    assert len(table) == rows
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
    ],
    ids=["LF", "CRLF", "BOM", "no last line end", "quotes and blanks", "empty lines at the end"],
)
def test_forms_that_mean_the_same_are_read_the_same(content: bytes) -> None:
    assert read(content).tolist() == [[1, 0, 255], [9, 7, 8]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,256,0", "line 3, column p0: '256' is above 255"),
        ("1,0,-1", "line 3, column p1: '-1' is negative"),
        ("10,0,0", "line 3, column label: '10' is above 9"),
        ("1,2.5,0", "column p0: '2.5' is not written as a whole number"),
        ("1,2.0,0", "column p0: '2.0' is not written as a whole number"),
        ("1,1e1,0", "column p0: '1e1' is not written as a whole number"),
        ("1,,0", "column p0: a value is missing"),
        ("1,NaN,0", "column p0: a value is missing"),
        ("1,seven,0", "column p0: 'seven' is not a whole number"),
        ("1,0x1F,0", "column p0: '0x1F' is not a whole number"),
        ("1,true,0", "column p0: 'true' is not a whole number"),
        ("1,٣,0", "column p0: '٣' is not a whole number"),
        ("1,inf,0", "column p0"),
        ("1,99999999999999999999,0", "is above 255"),
        ("1,0", "line 3: 2 values instead of 3"),
        ("1,0,0,0", "line 3: 4 values instead of 3"),
        ("1,\x1b[31m0,0", "column p0"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(row: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(f"label,p0,p1\n1,0,0\n{row}\n".encode())
    message = str(caught.value)
    assert words in message
    assert message.startswith("train.csv")
    assert message.isprintable(), "one line, no control sequences"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("p0,label,p1", "in another order, first 'p0'"),
        ("label,p0", "header has 2 columns"),
        ("label,p0,p7", "says 'p7' where p1 is expected"),
        ("1,0,255", "says '1' where label is expected"),
    ],
)
def test_a_wrong_header_is_named(header: str, words: str) -> None:
    with pytest.raises(DataError, match=r"expected the 3 columns label,p0,p1") as caught:
        read(f"{header}\n1,0,0\n".encode())
    assert words in str(caught.value)


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match=r"not a UTF-8 CSV file|header"):
        read(b"\xff\xfe\x00l\x00a\n1,2,3\n")
    with pytest.raises(DataError, match=r"train\.csv"):
        read(b"label,p0,p1\n1,\xff,3\n")
    with pytest.raises(DataError, match=r"train\.csv .* first line cannot be read"):
        read(b'label,p0,"p1\n1,2,3\n')


def test_a_header_alone_is_no_data() -> None:
    with pytest.raises(DataError, match="no rows"):
        read(b"label,p0,p1\n")
    with pytest.raises(DataError, match="no rows"):
        read(b"label,p0,p1")


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing; get it with: kd fetch"):
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
def test_whole_numbers_come_back_exactly(
    rows: list[tuple[int, int, int]], line_end: str, bom: bool
) -> None:
    lines = [",".join(COLUMNS), *[",".join(map(str, row)) for row in rows]]
    content = ("\ufeff" * bom + line_end.join(lines) + line_end).encode()
    assert read(content).tolist() == [list(row) for row in rows]


@given(cell=st.text(max_size=8), place=st.integers(0, 2))
@settings(max_examples=500, deadline=None)
def test_any_cell_is_the_number_it_spells_or_refused(cell: str, place: int) -> None:
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
