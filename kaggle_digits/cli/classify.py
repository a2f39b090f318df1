"""kd classify."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import RUNS, RunsDir, Svg
from kaggle_digits.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.inference.classify import Answer

STDIN, STEPS = "-", "-steps"


def classify(
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE…", help="Files of any kind, whole folders, - for stdin."),
    ],
    *,
    run: Annotated[
        str | None, typer.Option("--run", help="Read with this run; without it with the best.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Save a picture of each step as NAME-steps.png here.")
    ] = False,
    svg: Svg = False,
    runs_dir: RunsDir = RUNS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON list and nothing else.")
    ] = False,
) -> None:
    """Read the digit in a picture: drawn, photographed or scanned, on any paper."""
    from threadpoolctl import threadpool_limits

    from kaggle_digits.imaging.loading import open_picture
    from kaggle_digits.inference.classify import read_picture
    from kaggle_digits.inference.reader import open_reader

    if svg and not show:
        raise UsageError("--svg copies the pictures of --show; add --show, or leave out --svg")
    named = list(_files(pictures))
    reader = open_reader(runs_dir, run)
    found: list[dict[str, Any]] = []
    unreadable = 0
    for name, source in named:
        try:
            # On pictures this small, more threads of linear algebra only wait for each other.
            with threadpool_limits(1, "blas"):
                said = "standard input" if name == STDIN else name
                answer = read_picture(reader, open_picture(source, said))
        except DataError as error:
            unreadable += 1
            console.error(str(error))
            found.append(_entry(name, None, str(error)))
            continue
        found.append(_entry(name, answer, answer.note))
        if not as_json:
            console.echo(_line(name, answer))
        if show:
            _save_steps(name, answer, svg=svg)
    if as_json:
        console.print_json(found)
    elif run is None:
        right = "" if reader.accuracy is None else f", {console.percent(reader.accuracy)} right"
        console.note(f"read with run {reader.run}{right} on its held-out rows; another: --run NAME")
    if unreadable:
        raise typer.Exit(1)


def _files(pictures: list[str]) -> Iterator[tuple[str, Path | bytes]]:
    """What each picture is called and where its bytes are; folders are gone through."""
    for name in pictures:
        if not name:  # a shell's unset variable would mean the whole current folder
            raise UsageError("an empty name is no picture; for all in this folder: kd classify .")
        if name == STDIN:
            from kaggle_digits.imaging.loading import MAX_BYTES

            yield name, sys.stdin.buffer.read(MAX_BYTES + 1)  # more is refused
        elif Path(name).is_dir():  # what an earlier --show left there is not read
            from kaggle_digits.imaging.loading import list_pictures

            inside = [path for path in list_pictures(Path(name)) if STEPS not in path.stem]
            if not inside:
                raise DataError(f"no picture in {name}; PNG, JPEG, GIF, BMP, TIFF or WebP are read")
            yield from ((str(path), path) for path in inside)
        else:
            yield name, Path(name)


def _line(name: str, answer: Answer) -> str:
    if answer.digit is None:
        return f"{name}: {answer.note}"
    assert answer.confidence is not None
    note = f"; {answer.note}" if answer.note else ""
    return (
        f"{name}: {answer.digit} ({console.percent(answer.confidence)} sure), "
        f"or else {answer.runner_up}{note}"
    )


def _entry(name: str, answer: Answer | None, note: str) -> dict[str, Any]:
    return {
        "file": name,
        "digit": answer.digit if answer else None,
        "confidence": answer.confidence if answer else None,
        "runner_up": answer.runner_up if answer else None,
        "note": note,
    }


def _save_steps(name: str, answer: Answer, *, svg: bool) -> None:
    from kaggle_digits.plots import style
    from kaggle_digits.plots.digit_grids import preprocessing_steps

    stem = "stdin" if name == STDIN else Path(name).stem
    numbers = itertools.chain([""], (f"-{k}" for k in itertools.count(2)))
    # Pictures of one name, and what stands there already, keep apart.
    path = next(p for n in numbers if not (p := Path(f"{stem}{STEPS}{n}.png")).exists())
    with style.svg_copies(svg):
        style.save(preprocessing_steps(Path(name).name, answer.steps, answer.probabilities), path)
    console.note(f"steps: {path}")
