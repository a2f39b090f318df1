"""Generate malformed CSV files, and check that a reader reads or refuses them correctly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError, SubmissionError
from kaggle_digits.data.digits import PIXEL_COLUMNS, TRAIN_COLUMNS, read_test, read_train
from kaggle_digits.data.submission_csv import COLUMNS, HIGHEST_ID, read_ids, read_submission
from tests.robustness import slow_csv

Read = Callable[[Path], NDArray[Any]]

CELLS = [
    *("", " ", "\t", " 5", "5 ", "\t7\t", " 1 2", "+5", "-0", "-1", "1.0", "1.", ".5", "1e2"),
    *("0x10", "0X1f", "0b1", "0o7", "1_0", "007", "000000000256", "255", "256", "65535", "10"),
    *("4294967295", "4294967296", "9" * 20, "0" * 5000, "1" * 5000, "1" * 140_000, "nan", "NA"),
    *("None", "null", "inf", "-inf", "true", "False", "1/2", "1%", "$1", "1,5", "1;2", "'1'"),
    *("\x00", "1\x00", "\x001", "\x1b[31m1", "\x9b31m", "\x7f", "\u202e1", "\ufeff1", "\xa01"),
    *("1\u2007", "\u0663", "\u00b3", "\u2460", "\uff11", "\U0001d7d9", "=1+1", "#1", "1\n", "\n1"),
    *("1\r2", '"', '1"2', '"1', '1"', '""', "\\1", "1\\", "\x0b1", "1\x0c", "\x851", "\u20281"),
]
SOUND = ["0", "9", " 1", "2 ", "\t3\t", "007", "0000000000000000000000005", '"4"', '" 6 "']
LINE_ENDS = ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r\n", "\n\r", "\x0b", "\x85", "\u2028"]
ENCODINGS = [
    *("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp500"),
]


@dataclass(frozen=True)
class Form:
    """A kind of file: its columns, their largest values, and the reader under test."""

    name: str
    columns: list[str]
    highest: list[int]
    read: Read
    error: type[Exception] = DataError
    ids: int = 0  # ImageId of a submission or sample runs from 1 to this


def _train(path: Path) -> NDArray[Any]:
    digits = read_train(path)
    assert digits.labels is not None
    return np.column_stack([digits.labels, digits.images.reshape(len(digits), -1)])


def _test(path: Path) -> NDArray[Any]:
    digits = read_test(path)
    return digits.images.reshape(len(digits), -1)


def _ids(path: Path) -> NDArray[Any]:
    return read_ids(path)[:, None]


def _submission(path: Path) -> NDArray[Any]:
    return read_submission(path, np.arange(1, 5))[:, None]


FORMS = {
    form.name: form
    for form in (
        Form("train.csv", TRAIN_COLUMNS, [9] + [255] * 784, _train),
        Form("test.csv", PIXEL_COLUMNS, [255] * 784, _test),
        Form("sample_submission.csv", COLUMNS, [HIGHEST_ID, 9], _ids, ids=-1),
        Form("submission.csv", COLUMNS, [HIGHEST_ID, 9], _submission, SubmissionError, ids=4),
    )
}


def judge(form: Form, content: bytes, path: Path) -> bool:
    """Return whether the file was correctly read (True) or correctly refused (False).

    Raises:
        AssertionError: the array is wrong, a valid file was refused, or the message is unclear.
        Exception: the reader raised something other than DigitsError.
    """
    path.write_bytes(content)
    expected = slow_csv.read(content, form.columns, form.highest)
    if not content.strip():
        expected = slow_csv.Fault()
    try:
        found = form.read(path)
    except DataError as error:
        assert type(error) is DataError and form.error is DataError, repr(error)
        said = str(error)
    except SubmissionError as error:
        assert form.error is SubmissionError, repr(error)
        said = str(error)
    else:
        assert not isinstance(expected, slow_csv.Fault), "it was read but must be refused"
        wanted = np.array(expected)
        if form.ids:
            ids_due = range(1, 1 + (len(expected) if form.ids < 0 else form.ids))
            if form.ids > 0:  # a submission's rows may be in any order
                wanted = wanted[np.argsort(wanted[:, 0])]
            assert wanted[:, 0].tolist() == list(ids_due), "wrong ids were accepted"
            wanted = wanted[:, :1] if form.ids < 0 else wanted[:, 1:]
        assert np.array_equal(found, wanted), "a wrong array"
        return True
    assert path.name in said and said.isprintable(), f"file or one line: {said!r}"
    assert len(said) < 500, f"too long: {said[:200]!r}"
    if isinstance(expected, slow_csv.Fault):
        if expected.line is not None:
            assert f"line {expected.line}" in said, f"line {expected.line} is not named: {said}"
        if expected.column is not None:
            assert f"column {expected.column}" in said, f"{expected.column} is not named: {said}"
    else:
        assert form.ids, f"it was refused but is valid: {said}"
        ids = [row[0] for row in expected]
        if form.ids > 0:
            assert sorted(ids) != list(range(1, 1 + form.ids)), f"refused but valid: {said}"
            assert len(ids) != form.ids or "line " in said, said
            return False
        due = list(range(1, 1 + (len(ids) if form.ids < 0 else form.ids)))
        assert ids != due, f"it was refused but is valid: {said}"
        first = next((n for n, pair in enumerate(zip(ids, due, strict=False), 2)
                      if pair[0] != pair[1]), None)  # fmt: skip
        assert len(ids) != len(due) or first is None or "line " in said, said
    return False


@st.composite
def files(draw: st.DrawFn, form: Form) -> bytes:
    """Yield files: a valid table with no, one or several faults."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = 4 if form.ids > 0 else draw(st.integers(1, 5))
    table = [[str(rng.integers(0, min(top, 255) + 1)) for top in form.highest] for _ in range(rows)]
    if form.ids:
        for number, row in enumerate(table, 1):
            row[0] = str(number)
    grid = [list(form.columns), *table]
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2, 3]))):
        draw(st.sampled_from(EDITS))(draw, grid)
    comma = draw(st.sampled_from([","] * 24 + [";", "\t", "|", ", "]))
    quoting = draw(st.sampled_from(["none"] * 8 + ["all", "odd", "header"]))
    lines = [
        comma.join(_quoted(cell, quoting, (row, place)) for place, cell in enumerate(cells))
        for row, cells in enumerate(grid)
    ]
    end = draw(st.sampled_from(["\n"] * 16 + ["\r\n"] * 8 + LINE_ENDS))
    ends = [end] * len(lines)
    if draw(st.integers(0, 9)) == 0:
        ends = [draw(st.sampled_from(LINE_ENDS)) for _ in lines]
    if draw(st.integers(0, 3)) == 0:
        ends[-1] = draw(st.sampled_from(["", "\n\n\n", " ", "\n \n", "\x1a", "\x00", ",", '"']))
    text = "".join(line + e for line, e in zip(lines, ends, strict=True))
    encoding = draw(st.sampled_from(["utf-8"] * 24 + ENCODINGS))
    content = text.encode(encoding, "replace" if encoding != "utf-8" else "surrogatepass")
    return draw(st.sampled_from([_as_it_is] * 24 + DAMAGES))(draw, content)


def _quoted(cell: str, quoting: str, where: tuple[int, int]) -> str:
    row, place = where
    wanted = {"all": True, "odd": (row + place) % 2 == 1, "header": row == 0}.get(quoting, False)
    return '"' + cell.replace('"', '""') + '"' if wanted else cell


Grid = list[list[str]]


def _other_cell(draw: st.DrawFn, grid: Grid) -> None:
    # Change the header less often than the rows.
    row = grid[
        draw(st.integers(0, len(grid) - 1) | st.integers(min(1, len(grid) - 1), len(grid) - 1))
    ]
    if row:
        text = st.sampled_from(SOUND) | st.sampled_from(CELLS) | st.text(max_size=6)
        row[draw(st.integers(0, len(row) - 1))] = draw(text)


def _cell_less(draw: st.DrawFn, grid: Grid) -> None:
    row = grid[draw(st.integers(0, len(grid) - 1))]
    if row:
        row.pop(draw(st.integers(0, len(row) - 1)))


def _cell_more(draw: st.DrawFn, grid: Grid) -> None:
    row = grid[draw(st.integers(0, len(grid) - 1))]
    row.insert(draw(st.integers(0, len(row))), draw(st.sampled_from(["", "1", "label"])))


def _row_less(draw: st.DrawFn, grid: Grid) -> None:
    grid.pop(draw(st.integers(0, len(grid) - 1)))
    if not grid:
        grid.append([])


def _row_more(draw: st.DrawFn, grid: Grid) -> None:
    kinds = [
        [],
        [""],
        [" "],
        ["\t"],
        ["# note"],
        [""] * len(grid[0]),
        list(grid[-1]),
        list(grid[0]),
    ]
    grid.insert(draw(st.integers(0, len(grid))), draw(st.sampled_from(kinds)))


def _rows_moved(draw: st.DrawFn, grid: Grid) -> None:
    grid[1:] = draw(st.permutations(grid[1:]))


def _columns_moved(draw: st.DrawFn, grid: Grid) -> None:
    one, other = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    for row in grid[: draw(st.sampled_from([1, len(grid)]))]:
        if max(one, other) < len(row):
            row[one], row[other] = row[other], row[one]


def _columns_cut(draw: st.DrawFn, grid: Grid) -> None:
    place = draw(st.integers(0, 3))
    for row in grid:
        del row[place : place + 1]


def _columns_twice(draw: st.DrawFn, grid: Grid) -> None:
    place = draw(st.integers(0, 3))
    for row in grid:
        row[place:place] = row[place : place + 1]


EDITS = [
    *[_other_cell] * 6,
    *(_cell_less, _cell_more, _row_less, _row_more, _row_more),
    *(_rows_moved, _columns_moved, _columns_cut, _columns_twice),
]


def _as_it_is(draw: st.DrawFn, content: bytes) -> bytes:
    return content


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _flipped(draw: st.DrawFn, content: bytes) -> bytes:
    place = draw(st.integers(0, max(0, len(content) - 1)))
    return content[:place] + draw(st.binary(min_size=1, max_size=1)) + content[place + 1 :]


def _inserted(draw: st.DrawFn, content: bytes) -> bytes:
    place = draw(st.integers(0, len(content)))
    odd = st.sampled_from([b"\0", b"\0" * 4096, b'"', b"\r", b"\xef\xbb\xbf", b"\xff", b"x"])
    return content[:place] + draw(odd | st.binary(max_size=20)) + content[place:]


def _twice(draw: st.DrawFn, content: bytes) -> bytes:
    return content + content


def _anything(draw: st.DrawFn, content: bytes) -> bytes:
    return draw(st.binary(max_size=300))


DAMAGES = [_cut, _cut, _flipped, _inserted, _inserted, _twice, _anything]
