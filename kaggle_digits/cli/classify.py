"""kd classify: predict the digit in a picture file."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.inference.classify import PicturePrediction

STDIN, STEPS_SUFFIX = "-", "-steps"


def classify(
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE…", help="Image files, folders, or - for standard input."),
    ],
    *,
    run: Annotated[str | None, option("Run to predict with; default: the most accurate.")] = None,
    show: Annotated[
        bool, option("Plot the preprocessing steps into NAME-steps.png in this folder.", "--show")
    ] = False,
    svg: options.Svg = False,
    runs_dir: options.RunsDir = options.RUNS,
    as_json: options.AsJson = False,
) -> None:
    """Predict the digit in a picture: a drawing, a photo or a scan."""
    from threadpoolctl import threadpool_limits

    from kaggle_digits.imaging.loading import open_picture
    from kaggle_digits.inference.classify import classify_picture
    from kaggle_digits.inference.predictor import load_predictor

    if svg and not show:
        raise UsageError("--svg needs --show: it saves the figures of --show as SVG, too")
    named = list(_find_pictures(pictures))
    predictor = load_predictor(runs_dir, run)
    results: list[dict[str, Any]] = []
    failed = False
    for name, source in named:
        try:
            # With more BLAS threads, images this small only wait for synchronization.
            with threadpool_limits(1, "blas"):
                shown_name = "standard input" if name == STDIN else name
                prediction = classify_picture(predictor, open_picture(source, shown_name))
        except DataError as error:
            failed = True
            console.error(str(error))
            results.append(_as_json(name, None, str(error)))
            continue
        results.append(_as_json(name, prediction, prediction.note))
        if not as_json:
            console.echo(f"{name}: {_describe(prediction)}")
        if show:
            _plot_steps(name, prediction, svg=svg)
    if as_json:
        console.print_json(results)
    elif run is None:
        accuracy = ""
        if predictor.val_accuracy is not None:
            accuracy = f" ({console.percent(predictor.val_accuracy)} on its held-out rows)"
        console.note(
            f"predicted with run {predictor.run_name}{accuracy}; to use another: --run NAME"
        )
    if failed:
        raise typer.Exit(1)


def _find_pictures(pictures: list[str]) -> Iterator[tuple[str, Path | bytes]]:
    """Yield the name and the path or bytes of each picture, including those in folders."""
    for name in pictures:
        if not name:  # an unset shell variable must not mean the current folder
            raise UsageError("a picture name is empty; for all in this folder: kd classify .")
        if name == STDIN:
            from kaggle_digits.imaging.loading import MAX_BYTES

            yield name, sys.stdin.buffer.read(MAX_BYTES + 1)  # one more than is accepted
        elif Path(name).is_dir():
            from kaggle_digits.imaging.loading import list_pictures

            paths = [path for path in list_pictures(Path(name)) if STEPS_SUFFIX not in path.stem]
            if not paths:
                raise DataError(
                    f"no picture in {name}; put PNG, JPEG, GIF, BMP, TIFF or WebP files there"
                )
            yield from ((str(path), path) for path in paths)
        else:
            yield name, Path(name)


def _describe(prediction: PicturePrediction) -> str:
    if prediction.digit is None:
        return prediction.note
    note = f"; {prediction.note}" if prediction.note else ""
    confidence = console.percent(prediction.confidence)
    return (
        f"{prediction.digit} ({confidence} confidence), second choice {prediction.runner_up}{note}"
    )


def _as_json(name: str, prediction: PicturePrediction | None, note: str) -> dict[str, Any]:
    return {
        "file": name,
        "digit": prediction.digit if prediction else None,
        "confidence": prediction.confidence if prediction else None,
        "runner_up": prediction.runner_up if prediction else None,
        "note": note,
    }


def _plot_steps(name: str, prediction: PicturePrediction, *, svg: bool) -> None:
    """Save the figure under a name that is not taken."""
    from kaggle_digits.plots import style
    from kaggle_digits.plots.digit_grids import preprocessing_steps

    stem = "stdin" if name == STDIN else Path(name).stem
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    paths = (Path(f"{stem}{STEPS_SUFFIX}{suffix}.png") for suffix in suffixes)
    path = next(path for path in paths if not path.exists())
    with style.svg_copies(svg):
        style.save(
            preprocessing_steps(Path(name).name, prediction.steps, prediction.probabilities), path
        )
    console.note(f"steps: {path}")
