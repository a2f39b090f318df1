"""Check that every file in a folder is complete, and damage the files of a run one at a time."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import socket
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.errors import DigitsError
from kaggle_digits.data.submission_csv import read_ids
from kaggle_digits.kaggle_api.submission_log import LOG_NAME, read_log
from tests.robustness.report import Row

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
    is_ensemble = (path.parent / "runs").is_dir()  # it was not trained: its history has no epochs
    if len(rows) < 2 - is_ensemble or {len(row) for row in rows} != {len(rows[0])}:
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


CHECKS: dict[str, Callable[[Path], object]] = {
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


@dataclass(frozen=True)
class Reader:
    """The command that reads a file of a run, so that it fails with one line if that is damaged.

    ``first`` is a file that is deleted before, because the command would do nothing otherwise.
    """

    words: tuple[str, ...]
    first: str = ""


READERS = {
    "config.json": Reader(("evaluate", "hurt")),
    "metrics.json": Reader(("ensemble", "good", "hurt")),
    "oof.npy": Reader(("evaluate", "hurt")),
    "test.npy": Reader(("ensemble", "good", "hurt")),
    "history.csv": Reader(("evaluate", "hurt")),
    "pseudo.npy": Reader(("train", "--resume", "--name", "hurt"), "metrics.json"),
    "members/0/first_layer.npy": Reader(("evaluate", "hurt")),
    "members/0/model.skops": Reader(("predict", "hurt", "-o", "submissions/again.csv")),
    "members/0/member.json": Reader(("train", "--resume", "--name", "hurt"), "metrics.json"),
    "members/0/validation.npy": Reader(("train", "--resume", "--name", "hurt"), "metrics.json"),
    "members/0/test.npy": Reader(("train", "--resume", "--name", "hurt"), "metrics.json"),
}
# Whatever stands in place of these is no finished member and no result, which is made again.
REPAIRED: dict[str, tuple[str, ...]] = {
    "members/0/member.json": ("pipe", "socket", "folder", "links in a circle", "deleted")
}
REPAIRED["members/0/first_layer.npy"] = ("deleted",)


def _array_with(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    np.save(path, change(np.load(path)))


def _json_with(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))


def _huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(40 << 30)  # sparse: it takes no space


def _first_row(value: float) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        def change(values: np.ndarray) -> np.ndarray:
            values[np.flatnonzero(np.isfinite(values[:, 0]))[0], 1] = value  # a validated row
            return values

        _array_with(path, change)

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "noise": lambda path: path.write_bytes(b"\x93\xff\x00," + os.urandom(5000)),
    "huge": _huge,
    "deleted": Path.unlink,
    "pipe": lambda path: _replace(path, os.mkfifo),
    "socket": lambda path: _replace(path, _socket),
    "folder": lambda path: _replace(path, Path.mkdir),
    "link to a device": lambda path: _replace(path, lambda p: p.symlink_to("/dev/zero")),
    "link outside": lambda path: _replace(path, lambda p: p.symlink_to("/etc/passwd")),
    "links in a circle": lambda path: _replace(path, lambda p: p.symlink_to(path.name)),
}
ARRAY_DAMAGES: dict[str, Callable[[Path], object]] = {
    "float64 or int16": lambda path: _array_with(
        path, lambda a: a.astype(">i2" if a.dtype == np.int8 else object if a.ndim == 3 else float)
    ),
    "one row less": lambda path: _array_with(path, lambda a: a[:, 1:] if len(a) == 1 else a[1:]),
    "one axis more": lambda path: _array_with(path, lambda a: a[None]),
}
PROBABILITY_DAMAGES: dict[str, Callable[[Path], object]] = {
    "a NaN": _first_row(np.nan),
    "infinity": _first_row(np.inf),
    "a negative number": _first_row(-1.0),
    "a sum of 3": _first_row(2.0),
}
JSON_DAMAGES: dict[str, Callable[[Path], object]] = {
    "a list": lambda path: path.write_text("[1, 2]"),
    "deep nesting": lambda path: path.write_text("[" * 100_000),
    "NaN": lambda path: path.write_text('{"n_val": NaN, "members": NaN}'),
    "huge integers": lambda path: _json_with(path, lambda c: c | dict.fromkeys(c, 10**30)),
    "texts": lambda path: _json_with(path, lambda c: c | {key: [["text"]] for key in c}),
}


def damages_of(name: str) -> dict[str, Callable[[Path], object]]:
    """Return the damages to try on a file; those that it would survive are left out."""
    damages = dict(DAMAGES)
    if name.endswith(".npy"):
        damages |= ARRAY_DAMAGES
        if "first_layer" in name:
            del damages["one row less"]
        elif "pseudo" not in name:
            damages |= PROBABILITY_DAMAGES
    return damages | (JSON_DAMAGES if name.endswith(".json") else {})


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Damage one file of a run at a time; yield a row per file."""
    from tests.robustness.hostile_runs import Home, workplace
    from tests.robustness.runners import Runners

    with Runners(1) as runners:
        home = Home(workplace(work), runners)
        _add_pseudo_labels(home.path / "runs" / "good")
        for name in READERS:
            yield _damaged(home, name, seed, quick=quick)


def _add_pseudo_labels(run: Path) -> None:
    """Let the run look as if it had been trained on pseudo-labels that are clean."""
    config = json.loads((run / "config.json").read_text())
    pseudo = {"run": "teacher", "held_out_apart": True, "teachers": ["teacher"]}
    (run / "config.json").write_text(json.dumps(config | {"pseudo": pseudo}))
    np.save(run / "pseudo.npy", np.full((1, config["data"]["n_test"]), -1, np.int8))


def _damaged(home: Any, name: str, seed: int, *, quick: bool) -> Row:
    reader, bad, why = READERS[name], 0, ""
    damages = damages_of(name)
    tried = [*damages][seed % 3 :: 3] if quick else [*damages]
    run = home.path / "runs" / "hurt"
    for damage in tried:
        shutil.copytree(home.path / "runs" / "good", run)
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(config | {"name": "hurt"}))
        damages[damage](run / name)
        code, listed, _ = home.kd("runs", "--json")
        fault = "" if code == 0 and '"good"' in listed else "kd runs does not list the others"
        if reader.first:
            (run / reader.first).unlink()
        code, _, err = home.kd(*reader.words)
        errors = [line for line in err.splitlines() if line.startswith("error:")]
        if code == 0 and damage not in REPAIRED.get(name, ()):
            fault = fault or "it was believed"
        if code and (code != 1 or len(errors) != 1 or "unexpected" in err or "hurt" not in err):
            fault = fault or f"exit code {code}: {err[-300:]}"
        bad += bool(fault)
        why = why or (fault and f"{damage}: {fault}".replace("\n", " "))
        shutil.rmtree(run)
        for made in home.path.glob("submissions/*"):
            made.unlink()
    return Row("file_integrity", f"{name} of a run damaged", len(tried), bad, why)
