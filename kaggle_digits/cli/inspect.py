"""kd inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, AsJson, DataDir, Svg

if TYPE_CHECKING:
    from pathlib import Path

    from kaggle_digits.data.dataset import Dataset
    from kaggle_digits.evaluation.data_inspection import Inspection
    from kaggle_digits.training.augmentation import Augmentation


def inspect(
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME", help="Also draw what this recipe's augmentation does."
        ),
    ] = None,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Show what is in the data: rows, classes, duplicates; draw it into data/figures/."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.data_inspection import FIGURES, save_figures
    from kaggle_digits.evaluation.data_inspection import inspect as inspect_data
    from kaggle_digits.plots import style
    from kaggle_digits.training.recipes import find_augmentation

    how = find_augmentation(recipe) if recipe is not None else None
    dataset = load(data_dir)
    found = inspect_data(dataset)
    if not as_json:  # before drawing: the facts stand even where no picture can be saved
        _show_inspection(found)
    with style.svg_copies(svg):
        pictures = save_figures(dataset, data_dir / FIGURES)
        if recipe is not None and how is not None:
            pictures.append(_draw_augmentation(dataset, recipe, how, data_dir / FIGURES))
    if as_json:
        console.print_json(_inspection_as_json(found, pictures))
        return
    names = ", ".join(path.name for path in pictures)
    console.echo(f"pictures in {pictures[0].parent}: {names}")
    console.note("next: kd train --model dense")


def _draw_augmentation(dataset: Dataset, recipe: str, how: Augmentation, folder: Path) -> Path:
    """The picture that needs Keras."""
    from kaggle_digits.plots import digit_grids, style
    from kaggle_digits.training.augmentation import augment_images

    images = dataset.train.images[digit_grids.first_of_each_class(dataset.labels)]
    copies = augment_images(how, images, digit_grids.COPIES)
    path = folder / f"augmentation-{recipe}.png"
    style.save(digit_grids.augmented_digits(images, copies, recipe, how.summary), path)
    return path


def _show_inspection(found: Inspection) -> None:
    from rich.table import Table

    table = Table(title=f"Data from {console.cell(found.source)}", title_justify="left")
    table.add_column("")
    for name in ("train.csv", "test.csv"):
        table.add_column(name, justify="right")
    train, test = found.train, found.test
    for label, one, other in (
        ("rows", f"{train.rows:,}", f"{test.rows:,}"),
        ("columns", f"{train.columns:,}", f"{test.columns:,}"),
        ("missing values", str(train.missing), str(test.missing)),
        ("pixel values", f"{train.lowest}–{train.highest}", f"{test.lowest}–{test.highest}"),
        ("rows without ink", f"{train.blank:,}", f"{test.blank:,}"),
        ("duplicate rows", f"{train.duplicates:,}", f"{test.duplicates:,}"),
        ("images with two labels", f"{found.contradictions:,}", "–"),
        ("rows also in train.csv", "–", f"{found.test_in_train:,}"),
        ("memory of the pixels", _megabytes(train.bytes), _megabytes(test.bytes)),
    ):
        table.add_row(label, one, other)
    console.print_table(table)

    classes = Table(title="Images of each digit in train.csv", title_justify="left")
    classes.add_column("digit", justify="right")
    classes.add_column("images", justify="right")
    classes.add_column("share", justify="right")
    for digit, count in enumerate(found.classes):
        classes.add_row(str(digit), f"{count:,}", f"{100 * count / train.rows:.2f} %")
    console.print_table(classes)


def _inspection_as_json(found: Inspection, pictures: list[Path]) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(found), "figures": [str(path) for path in pictures]}


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
