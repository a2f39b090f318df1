"""What a CSV file says, read a character at a time: slow, plain, and nothing of the toolkit's.

The rules: UTF-8, perhaps with a byte order mark; lines end by LF, CRLF or CR; empty lines are no
rows; the first line is the header, word for word; a cell stands bare or whole in quotes, and is
spaces, ASCII digits, spaces; its number is not above the column's highest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CELL = re.compile(r"[ \t]*([0-9]+)[ \t]*")


@dataclass(frozen=True)
class Fault:
    """Why a file must be refused: where that is known, its line, from 1, and column."""

    line: int | None = None
    column: str | None = None


def read(content: bytes, columns: list[str], highest: list[int]) -> list[list[int]] | Fault:
    """The rows of numbers, or the first fault."""
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        return Fault()
    try:
        records = _records(text)
    except ValueError:
        return Fault()
    if not records or records[0][1] != columns:
        return Fault()
    rows = []
    for line, cells in records[1:]:
        if not cells:
            continue
        if len(cells) != len(columns):
            return Fault(line)
        row = []
        for name, cell, top in zip(columns, cells, highest, strict=True):
            found = CELL.fullmatch(cell)
            if found is None or not _within(found[1], top):
                return Fault(line, name)
            row.append(int(found[1].lstrip("0") or "0"))
        rows.append(row)
    return rows or Fault()


def _within(digits: str, top: int) -> bool:
    short = digits.lstrip("0")
    return len(short) <= len(str(top)) and int(short or "0") <= top


def _records(text: str) -> list[tuple[int, list[str]]]:
    """Each with the number of its last line; ValueError for quotes that do not fit."""
    records: list[tuple[int, list[str]]] = []
    cells: list[str] = []
    place, line = 0, 0
    while place < len(text):
        if not cells and text[place] in "\r\n":
            place += 2 if text[place : place + 2] == "\r\n" else 1
            line += 1
            records.append((line, []))
            continue
        cell, place = _cell(text, place)
        line += len(re.findall(r"\r\n|\r|\n", cell)) if text[place - 1] == '"' else 0
        cells.append(cell)
        if place < len(text) and text[place] == ",":
            place += 1
            if place < len(text):
                continue
            cells.append("")
        elif text[place : place + 2] == "\r\n":
            place += 2
        else:
            place += 1
        line += 1
        records.append((line, cells))
        cells = []
    return records


def _cell(text: str, place: int) -> tuple[str, int]:
    """The cell that begins at ``place``, and where what follows it stands."""
    if text[place] != '"':
        end = place
        while end < len(text) and text[end] not in ",\r\n":
            end += 1
        return text[place:end], end
    cell, place = "", place + 1
    while place < len(text):
        if text[place] != '"':
            cell += text[place]
        elif text[place + 1 : place + 2] == '"':
            cell += '"'
            place += 1
        elif place + 1 == len(text) or text[place + 1] in ",\r\n":
            return cell, place + 1
        else:
            raise ValueError("something stands behind a closing quote")
        place += 1
    raise ValueError("a quote is not closed")
