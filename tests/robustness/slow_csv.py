"""A second CSV reader, slow and simple, one character at a time and independent of the toolkit.

The rules: UTF-8 with an optional byte order mark; lines end with LF, CRLF or CR; empty lines are
ignored; the first line is exactly the header; a cell is plain or completely quoted, and consists
of spaces, ASCII digits, spaces; its number is at most the column's maximum.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CELL = re.compile(r"[ \t]*([0-9]+)[ \t]*")


@dataclass(frozen=True)
class Fault:
    """Why a file must be refused, with line (from 1) and column if known."""

    line: int | None = None
    column: str | None = None


def read(content: bytes, columns: list[str], highest: list[int]) -> list[list[int]] | Fault:
    """Return the rows of numbers, or raise the first fault."""
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
    """Yield records with the number of their last line; ValueError for unbalanced quotes."""
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
    """Return the cell that starts at ``place``, and the position after it."""
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
            raise ValueError("text after a closing quote")
        place += 1
    raise ValueError("a quote is not closed")
