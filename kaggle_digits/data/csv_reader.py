"""Strict reading of the competition's CSV files: whole numbers, or an error that names the cell.

A file that holds only digits, commas and line ends after its header is parsed by numpy.loadtxt.
Any other file is read again by Python's csv module, cell by cell: it accepts quoted cells and
spaces around numbers, and reports the first fault with its line and column.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError

PLAIN = b"0123456789,\r\n"
MISSING = {"", "nan", "na", "n/a", "null", "none", "#n/a", "<na>"}
Unsigned = type[np.unsignedinteger[Any]]
FETCH_AGAIN = "fetch it again: `kd.fetch(force=True)`"


def read_int_csv(
    path: Path,
    content: bytes,
    columns: dict[str, int],
    dtype: Unsigned,
    *,
    advice: str = FETCH_AGAIN,
) -> NDArray[Any]:
    """Parse a CSV file whose header is exactly ``columns`` and whose cells are whole numbers.

    ``content`` is UTF-8, with or without BOM, lines ending with LF, CRLF or CR; empty ones are
    skipped. ``columns`` are the names in order → the largest value allowed; the smallest is 0.
    Returns (rows, columns) of ``dtype``, at least one row. Raises DataError if the header or a cell
    is wrong; it names the file, line (1 is the header) and column. ``advice`` tells what to do
    about a damaged file.
    """
    line_end = re.search(rb"[\r\n]", content)
    header_end = line_end.start() if line_end else len(content)
    header = content[:header_end]
    _check_header(path, header, list(columns), advice)
    plain = content.translate(None, PLAIN) == header.translate(None, PLAIN)
    if plain and content.find(b",", header_end) >= 0:
        lines = io.BytesIO(content)
        lines.seek(header_end)
        # A faulty file is read again below, to name the line and column.
        with suppress(ValueError, OverflowError):
            table = np.loadtxt(lines, dtype=dtype, delimiter=",", comments=None, ndmin=2)
            if table.shape[1] == len(columns) and (table.max(axis=0) <= [*columns.values()]).all():
                return table
    return _read_cell_by_cell(path, content, columns, dtype, advice)


def row_lines(content: bytes, rows: int | None = None) -> NDArray[np.int64] | None:
    """Return the line, counted from 1, of each row of a file that ``read_int_csv`` accepts.

    None if they are 2, 3, …: if there are no empty lines, which are skipped, before the last row.
    If the number of ``rows`` is given, the line ends are only counted in a file without.
    """
    ends, returns = content.count(b"\n"), content.count(b"\r")
    if rows == ends - content.endswith(b"\n") and returns in (0, ends):
        return None
    lines = content.rstrip(b"\r\n").splitlines()
    filled = np.array([number for number, line in enumerate(lines, 1) if line][1:], np.int64)
    return None if len(filled) == len(lines) - 1 else filled


def line_of(path: Path, row: int) -> int:
    """Return the line, counted from 1, of a row, counted from 0, to name it in a message."""
    lines = row_lines(path.read_bytes())
    return row + 2 if lines is None else int(lines[row])


def read_content(path: Path, *, advice: str | None = None) -> bytes:
    """Return the bytes of the file; DataError if it is missing, empty, a folder or unreadable.

    ``advice`` tells what to do about a damaged file; without it, the file is the competition's.
    """
    try:
        # Opening a pipe would block.
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DataError(f"{path} is a device or pipe, not a file; put the CSV file there")
        content = path.read_bytes()
    except FileNotFoundError:
        remedy = "check its name and folder" if advice else "get it with: `kd.fetch()`"
        raise DataError(f"{path} is missing; {remedy}") from None
    except IsADirectoryError:
        remedy = advice or "move it, then: `kd.fetch()`"
        raise DataError(f"{path} is a folder, not a CSV file; {remedy}") from None
    except OSError as error:
        remedy = "; allow yourself to read it" if isinstance(error, PermissionError) else ""
        raise DataError(f"{path} cannot be read ({error.strerror}){remedy}") from error
    if not content or content.isspace():
        raise DataError(f"{path} is empty; {advice or FETCH_AGAIN}")
    return content


def read_cells(
    path: Path, columns: Sequence[str], form: str, optional: Sequence[str] = ()
) -> Iterator[tuple[str, list[str]]]:
    """Yield "FILE, line N", for messages, and the cells of some columns for each line of a CSV.

    Cells lack outer space; a missing one, also of an ``optional`` column, is "". Raises DataError
    as ``read_content``, for a missing column or for a file that is not CSV; ``form`` says what is
    expected.
    """
    text = read_content(path, advice=form).decode("utf-8-sig", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=find_delimiter(text))
    try:
        if not {*columns} <= {*(reader.fieldnames or ())}:
            names = f"column{'s' * (len(columns) > 1)} {' and '.join(columns)}"
            raise DataError(f"{path} has no {names}; {form}")
        for row in reader:
            cells = [str(row.get(name) or "").strip() for name in (*columns, *optional)]
            yield f"{path}, line {reader.line_num}", cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV ({error}); {form}") from error


def find_delimiter(text: str) -> str:
    """Return the delimiter of a CSV file: in many countries, spreadsheets write semicolons."""
    return max(",;\t", key=text.lstrip().partition("\n")[0].count)


def _check_header(path: Path, header: bytes, columns: list[str], advice: str) -> None:
    try:
        found = next(csv.reader([header.decode("utf-8-sig")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        found = ["\0"]
    if "\0" in "".join(found):
        fault = "is not a UTF-8 CSV file: its first line cannot be read, perhaps it is UTF-16"
        raise DataError(f"{path} {fault}; {advice}")
    if found == columns:
        return
    fault = f"has {len(found)} columns, first {quote_cell(found[0] if found else '')}"
    if len(found) == len(columns):
        name, due = next((a, b) for a, b in zip(found, columns, strict=True) if a != b)
        fault = f"has {quote_cell(name)} instead of {due}"
    expected = f"{columns[0]} … {columns[-1]}" if len(columns) > 3 else ",".join(columns)
    raise DataError(f"{path}: its header {fault}; expected the {len(columns)} columns {expected}")


def _read_cell_by_cell(
    path: Path, content: bytes, columns: dict[str, int], dtype: Unsigned, advice: str
) -> NDArray[Any]:
    """Parse the rows with Python's csv module; raise DataError for the first fault."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text, strict=True)
    default_limit = csv.field_size_limit(len(content) + 1)  # so that a long cell is reported too
    rows = []
    try:
        next(reader)
        for cells in filter(None, reader):
            line = f"{path}, line {reader.line_num}"
            if len(cells) != len(columns):
                fault = f"{len(cells)} values instead of {len(columns)} (a truncated row?)"
                if cells == ["\x1a"]:
                    fault = "Ctrl-Z (byte 26), the end mark of DOS programs, instead of values"
                raise DataError(f"{line}: {fault}; {advice}")
            row = []
            for (name, top), cell in zip(columns.items(), cells, strict=True):
                value = cell.strip(" \t")
                digits = value.lstrip("0") or "0"
                # Python refuses to convert strings of more than 4,300 digits.
                is_short = len(digits) <= len(str(top))
                if not (value.isascii() and value.isdigit() and is_short and int(digits) <= top):
                    fault = f"{quote_cell(value)} is not"
                    if value.lower() in MISSING:
                        fault = "a value is missing; expected"
                    fault += f" an integer from 0 to {top}"
                    raise DataError(f"{line}, column {name}: {fault}; {advice}")
                row.append(int(digits))
            rows.append(np.array(row, dtype))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV ({error}); {advice}") from error
    finally:
        csv.field_size_limit(default_limit)
    if not rows:
        raise DataError(f"{path} has a header but no rows; {advice}")
    return np.stack(rows)


def quote_cell(value: str) -> str:
    """Quote a cell for a one-line message: short, without control characters."""
    short = value if len(value) <= 20 else value[:20] + "…"
    return f"'{short}'" if short.isprintable() else ascii(short)
