"""Check that every file in a folder is complete, by parsing it according to its suffix."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kaggle_digits.core.errors import DigitsError
from kaggle_digits.data.submission_csv import read_ids
from kaggle_digits.kaggle_api.submission_log import LOG_NAME, read_log

FOLDERS = ("data", "runs", "submissions", "exports")
# The magic bytes of a TensorFlow Lite model follow its first four bytes.
LITE_MARK, PNG_MARK, PNG_END = b"TFL3", b"\x89PNG", b"IEND\xaeB`\x82"


def broken(place: Path) -> list[str]:
    """Return one line per damaged file in data/, runs/, submissions/ and exports/ of ``place``.

    Hidden files (``.….part…``, locks, partial downloads) are not checked.
    """
    found = []
    for path in sorted(visible(place)):
        try:
            _check(path)
        except Exception as error:
            found.append(f"{path.relative_to(place)}: {type(error).__name__} {error}")
    return found


def visible(place: Path) -> Iterator[Path]:
    """Yield every file that is neither hidden nor in a hidden folder."""
    for folder in FOLDERS:
        for path in (place / folder).rglob("*"):
            if path.is_file() and not any(
                part.startswith(".") for part in path.relative_to(place).parts
            ):
                yield path


def leftovers(place: Path) -> list[str]:
    """Return the paths of temporary files, which are all hidden."""
    return [
        str(path.relative_to(place))
        for folder in FOLDERS
        for path in (place / folder).rglob(".*part*")
        if path.is_file()
    ]


def _check(path: Path) -> None:
    check = CHECKS.get(path.suffix)
    if path.name == LOG_NAME:
        read_log(path.parent)
    elif (path.parent.name == "data" and path.suffix == ".csv") or path.name == "history.csv":
        _table(path)
    elif path.suffix == ".csv":
        try:
            read_ids(path)  # the format of a submission, except for the labels
        except DigitsError as error:
            raise ValueError(str(error)) from error
    elif check is None:
        raise ValueError("unexpected suffix")
    else:
        check(path)


def _table(path: Path) -> None:
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        raise ValueError("truncated")
    rows = list(csv.reader(io.StringIO(content.decode())))
    if len(rows) < 2 or {len(row) for row in rows} != {len(rows[0])}:
        raise ValueError("rows of different lengths")


def _json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _array(path: Path) -> None:
    np.load(path, allow_pickle=False)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if bad := archive.testzip():
            raise ValueError(bad)


def _database(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        (state,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    if state != "ok":
        raise ValueError(state)


def _journal(path: Path) -> None:
    *lines, _ = path.read_bytes().split(b"\n")  # the next process removes a partial last line
    for line in lines:
        json.loads(line)


def _not_empty(path: Path) -> None:
    if not path.stat().st_size:
        raise ValueError("empty")


def _page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("truncated")


def _picture(path: Path) -> None:
    content = path.read_bytes()
    if not (content.startswith(PNG_MARK) and content.endswith(PNG_END)):
        raise ValueError("truncated")


def _lite(path: Path) -> None:
    from kaggle_digits.models.formats import LiteRTClassifier

    if path.read_bytes()[4:8] != LITE_MARK:
        raise ValueError("not a TensorFlow Lite model")
    LiteRTClassifier(path)


CHECKS: dict[str, Callable[[Path], None]] = {
    ".db": _database,
    ".db-journal": _not_empty,
    ".html": _page,
    ".joblib": _not_empty,
    ".json": _json,
    ".keras": _zip,
    ".log": _journal,
    ".md": _not_empty,
    ".npy": _array,
    ".npz": _zip,
    ".png": _picture,
    ".sig": _not_empty,
    ".skops": _zip,
    ".tflite": _lite,
}
