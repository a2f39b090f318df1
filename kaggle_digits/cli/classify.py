"""kd classify: predict the digit in a picture file."""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.inference.predictor import PicturePrediction

STDIN, STEPS_SUFFIX = "-", "-steps"
KEYS = ("digit", "confidence", "runner_up")


def classify(
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURE", help="Files, folders, or - (standard input).")
    ],
    *,
    run: options.PredictorRun = None,
    show: Annotated[bool, option("Plot the preprocessing: ./NAME-steps.png.", "--show")] = False,
    svg: options.Svg = False,
    runs_dir: options.RunsDir = options.RUNS,
    as_json: options.AsJson = False,
) -> None:
    """Predict the digit in a picture: a drawing, a photo or a scan."""
    from kaggle_digits.imaging.reader import PictureReader

    if svg and not show:
        raise UsageError("--svg needs --show: it saves the figures of --show as SVG, too")
    reader = PictureReader()  # its process starts while this one imports and loads the model
    from threadpoolctl import threadpool_limits

    from kaggle_digits.inference.predictor import classify_prepared, load_predictor

    named = list(_find_pictures(pictures))
    predictor = load_predictor(runs_dir, run)
    for message in predictor.skipped:
        console.warn(message)
    results: list[dict[str, Any]] = []
    failed = False
    for name, source in named:
        try:
            shown_name = "standard input" if name == STDIN else name
            prepared = reader.prepare(source, shown_name, with_steps=show)
            # With more BLAS threads, images this small only wait for synchronization.
            with threadpool_limits(1, "blas"):
                prediction = classify_prepared(predictor, prepared)
        except DataError as error:
            failed = True
            console.error(str(error))
            results.append({"file": name, **dict.fromkeys(KEYS), "note": str(error)})
            continue
        values = {key: getattr(prediction, key) for key in KEYS}
        results.append({"file": name, **values, "note": prediction.note})
        if not as_json:
            digit, note = prediction.digit, prediction.note
            if digit is not None:
                confidence = console.percent(prediction.confidence)
                choice = f"{digit} ({confidence} confidence), second choice {prediction.runner_up}"
                note = f"{choice}; {note}" if note else choice
            console.echo(f"{name}: {note}")
        if show:
            _plot_steps(name, prediction, svg=svg)
    if as_json:
        console.print_json(results)
    elif run is None:
        accuracy = predictor.val_accuracy
        shown = "" if accuracy is None else f" ({console.percent(accuracy)} on its held-out rows)"
        console.note(f"predicted with run {predictor.run_name}{shown}; to use another: --run NAME")
    if failed:
        raise typer.Exit(1)


def _find_pictures(pictures: list[str]) -> Iterator[tuple[str, Path | bytes]]:
    """Yield the name and the path or bytes of each picture, including those in folders."""
    from kaggle_digits.imaging.loading import MAX_BYTES, list_pictures

    for name in pictures:
        if not name:  # an unset shell variable must not mean the current folder
            raise UsageError("a picture name is empty; for all in this folder: kd classify .")
        if name == STDIN:
            yield name, sys.stdin.buffer.read(MAX_BYTES + 1)  # one more than is accepted
        elif Path(name).is_dir():
            paths = [path for path in list_pictures(Path(name)) if STEPS_SUFFIX not in path.stem]
            if not paths:
                raise DataError(f"no picture in {name}; add PNG, JPEG, GIF, BMP, TIFF or WebP")
            yield from ((str(path), path) for path in paths)
        else:
            yield name, Path(name)


def _plot_steps(name: str, prediction: "PicturePrediction", *, svg: bool) -> None:
    """Save the figure under a name that is not taken."""
    from kaggle_digits.plots import style
    from kaggle_digits.plots.digit_grids import preprocessing_steps

    stem = ("stdin" if name == STDIN else Path(name).stem) + STEPS_SUFFIX
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    paths = (Path(f"{stem}{suffix}.png") for suffix in suffixes)
    figure = preprocessing_steps(Path(name).name, prediction.steps, prediction.probabilities)
    with style.svg_copies(svg):
        path = next(p for p in paths if not any(map(os.path.lexists, style.saved_paths(p))))
        style.save(figure, path)
    console.note(f"steps: {path}")
