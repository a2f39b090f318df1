"""kd classify: predict the digit in a picture file."""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import argument, flag
from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.errors import DataError, UsageError
from kaggle_digits.core.text import plural

if TYPE_CHECKING:
    from kaggle_digits.inference.predictor import PicturePrediction, Predictor
    from kaggle_digits.inference.sheet_reader import SheetPrediction

STDIN = "-"
OWN_FIGURE = re.compile("-steps|-boxes")  # in the names of the figures of --show
KEYS = ("digit", "confidence", "runner_up")
LOOK_KEYS = ("not_a_digit", "not_a_digit_score", "mirrored")


def classify(
    pictures: list[str] = argument(
        "Files, folders, or - (standard input).", "PICTURE", default=...
    ),
    *,
    run: str | None = options.PREDICTOR_RUN,
    all_digits: bool = flag("Read every digit of a picture of several.", "--all"),
    check: bool = flag("Score a folder that has the true digits in labels.csv.", "--check"),
    show: bool = flag(
        "Plot the preprocessing: ./NAME-steps.png; with --all: ./NAME-boxes.png.", "--show"
    ),
    why: bool = flag("Draw which parts of the digit decided, and say what they decide.", "--why"),
    svg: bool = options.SVG,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Predict the digit in a picture: a drawing, a photo or a scan."""
    from kaggle_digits.imaging.reader import PictureReader

    _check_options(pictures, all_digits=all_digits, check=check, show=show, why=why, svg=svg)
    if check:
        _check(Path(pictures[0]), runs_dir, run, as_json=as_json)
        return
    reader = PictureReader()  # its process starts while this one imports and loads the model
    from threadpoolctl import threadpool_limits

    from kaggle_digits.cli.why import explain
    from kaggle_digits.inference.predictor import classify_prepared
    from kaggle_digits.inference.sheet_reader import classify_sheet

    named = list(_find_pictures(pictures))
    predictor = _load_predictor(runs_dir, run)
    results: list[dict[str, Any]] = []
    failures = 0
    for name, source in named:
        shown_name = "standard input" if name == STDIN else name
        prediction: PicturePrediction | SheetPrediction
        reasons = None
        try:
            # With more BLAS threads, images this small only wait for synchronization.
            with threadpool_limits(1, "blas"):
                if all_digits:
                    prediction = classify_sheet(predictor, reader.prepare_sheet(source, shown_name))
                else:
                    prepared = reader.prepare(source, shown_name, with_steps=show)
                    prediction = classify_prepared(predictor, prepared)
                    reasons = explain(predictor, prediction) if why else None
        except DataError as error:
            failures += 1
            console.error(str(error))
            empty: dict[str, Any] = {"lines": [], "digits": []} if all_digits else {}
            note = to_command_line(str(error))
            results.append({"file": name, **dict.fromkeys(KEYS), "note": note, **empty})
            continue
        values, text = _describe(prediction)
        if why:
            values["why"] = reasons and reasons.to_json()
        results.append({"file": name, **values})
        if not as_json:
            console.echo(f"{name}: {text}")
            if reasons:
                console.echo(reasons.draw())
        if show:
            _plot(name, prediction)
    if as_json:
        console.print_json(results)
    elif failures < len(results):
        _note_run(predictor, run)
    if failures:
        raise typer.Exit(1)


def _check_options(
    pictures: list[str], *, all_digits: bool, check: bool, show: bool, why: bool, svg: bool
) -> None:
    """Raise UsageError for options that exclude each other."""
    if svg and not show:
        raise UsageError("--svg needs --show: it saves the figures of --show as SVG, too")
    if why and all_digits:
        raise UsageError("--why explains a picture of one digit; leave out --all")
    if check and (all_digits or show or why or len(pictures) != 1):
        raise UsageError("--check scores one folder, without --all, --show and --why")


def _load_predictor(runs_dir: Path, run: str | None) -> "Predictor":
    """Load a run, or the best one, and warn of those that cannot be used."""
    from kaggle_digits.inference.predictor import load_predictor

    predictor = load_predictor(runs_dir, run)
    for message in predictor.skipped:
        console.warn(message)
    return predictor


def _note_run(predictor: "Predictor", named: str | None) -> None:
    """Name the run that was chosen, and say what its accuracy does not."""
    if named is None:
        accuracy = predictor.val_accuracy
        shown = "" if accuracy is None else f" ({console.percent(accuracy)} held out)"
        console.note(f"predicted with run {predictor.run_name}{shown}; another one: --run NAME")
    if predictor.caveat:
        console.note(predictor.caveat)


def _check(folder: Path, runs_dir: Path, run: str | None, *, as_json: bool) -> None:
    """Print the accuracy of a run on a folder with labels.csv, and the wrong pictures."""
    from threadpoolctl import threadpool_limits

    from kaggle_digits.imaging.labelled_folder import read_labels
    from kaggle_digits.imaging.reader import PictureReader
    from kaggle_digits.inference.predictor import score_folder

    pictures, predictor = read_labels(folder), _load_predictor(runs_dir, run)
    with threadpool_limits(1, "blas"):
        score = score_folder(predictor, PictureReader(), pictures)
    if as_json:
        used = {"run": predictor.run_name, "extra_rows": predictor.extra_rows}
        console.print_json({"folder": folder, **used, **asdict(score)})
        return
    console.echo(
        f"{folder}: {score.n - len(score.wrong):,} of {score.n:,} pictures read correctly by run "
        f"{predictor.run_name}, {console.percent(score.accuracy, score.ci95)} (95 % interval)"
    )
    if score.wrong:
        columns = {"file": "", "read": "", "is": "", "confidence": "", "note": ""}
        rows = []
        for one in score.wrong:
            confidence = console.percent(one.confidence)
            rows.append((Path(one.file).name, one.digit, one.label, confidence, one.note or None))
        console.show_table(columns, rows)
    if predictor.extra_rows:
        console.warn(
            f"run {predictor.run_name} was trained on "
            f"{plural(predictor.extra_rows, 'extra picture')}; if {folder} has any of them, its "
            "accuracy is too high"
        )


def _find_pictures(pictures: list[str]) -> Iterator[tuple[str, Path | bytes]]:
    """Yield the name and the path or bytes of each picture, including those in folders."""
    from kaggle_digits.imaging.loading import MAX_BYTES, list_pictures

    for name in pictures:
        if not name:  # an unset shell variable must not mean the current folder
            raise UsageError("a picture name is empty; for all in this folder: kd classify .")
        if name == STDIN:
            yield name, sys.stdin.buffer.read(MAX_BYTES + 1)  # one more than is accepted
        elif Path(name).is_dir():
            paths = [path for path in list_pictures(Path(name)) if not OWN_FIGURE.search(path.stem)]
            if not paths:
                raise DataError(f"no picture in {name}; add PNG, JPEG, GIF, BMP, TIFF or WebP")
            yield from ((str(path), path) for path in paths)
        else:
            yield name, Path(name)


def _describe(prediction: "PicturePrediction | SheetPrediction") -> tuple[dict[str, Any], str]:
    """Return a prediction as JSON and as text; of a sheet with one line for each line."""
    from kaggle_digits.imaging.loading import MAYBE_SEVERAL, SEVERAL_DIGITS
    from kaggle_digits.inference.sheet_reader import SheetPrediction

    if isinstance(prediction, SheetPrediction):
        digits = prediction.digits
        values: dict[str, Any] = dict.fromkeys(KEYS) | {"note": prediction.note}
        if len(digits) == 1:
            values |= {"digit": digits[0].digit, "confidence": digits[0].confidence}
        values |= {"lines": prediction.lines, "digits": [asdict(digit) for digit in digits]}
        words = [prediction.note] if prediction.note else []
        if digits:
            least = min(digits, key=lambda one: one.confidence)
            sure = f"least sure of the {least.digit} ({console.percent(least.confidence)})"
            words = [plural(len(digits), "digit"), sure, *words]
        return values, "\n  ".join(["; ".join(words), *prediction.lines])
    values = {key: getattr(prediction, key) for key in (*KEYS, "note", *LOOK_KEYS)}
    if prediction.digit is None:
        return values, prediction.note
    confidence = console.percent(prediction.confidence)
    words = [f"{prediction.digit} ({confidence} confidence), second choice {prediction.runner_up}"]
    if prediction.not_a_digit:
        words.append("mirrored?" if prediction.mirrored else "not a digit?")
    if prediction.note:
        several = prediction.note in (SEVERAL_DIGITS, MAYBE_SEVERAL)
        advice = ": read them with --all" if several else ""
        words.append(prediction.note + advice)
    return values, "; ".join(words)


def _plot(name: str, prediction: "PicturePrediction | SheetPrediction") -> None:
    """Save the figure of --show under a name that is not taken."""
    from kaggle_digits.inference.predictor import PicturePrediction
    from kaggle_digits.plots import style
    from kaggle_digits.plots.digit_grids import boxed_digits, preprocessing_steps

    title = Path(name).name
    if isinstance(prediction, PicturePrediction):
        kind = "steps"
        figure = preprocessing_steps(title, prediction.steps, prediction.probabilities)
    else:
        kind = "boxes"
        boxes = [(one.digit, one.confidence, one.box) for one in prediction.digits]
        figure = boxed_digits(title, prediction.picture, prediction.scale, boxes)
    stem = f"{'stdin' if name == STDIN else Path(name).stem}-{kind}"
    path = Path(f"{stem}.png")
    for number in itertools.count(2):
        if not any(map(os.path.lexists, style.saved_paths(path))):
            break
        path = Path(f"{stem}-{number}.png")
    style.save(figure, path)
    console.note(f"{kind}: {path}")
