"""kd inspect: describe and plot the data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import console, options

if TYPE_CHECKING:
    from pathlib import Path

    from kaggle_digits.data.dataset import Dataset
    from kaggle_digits.evaluation.data_inspection import Inspection
    from kaggle_digits.training.augmentation import Augmentation


def inspect(
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME", help="Also plot examples of this recipe's augmentation."
        ),
    ] = None,
    svg: options.Svg = False,
    data_dir: options.DataDir = options.DATA,
    as_json: options.AsJson = False,
) -> None:
    """Show rows, classes and duplicates of the data, and plot it into data/figures/."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.data_inspection import FIGURES, save_figures
    from kaggle_digits.evaluation.data_inspection import inspect as inspect_data
    from kaggle_digits.plots import style
    from kaggle_digits.training.recipes import find_augmentation

    augmentation = find_augmentation(recipe) if recipe is not None else None
    dataset = load(data_dir)
    inspection = inspect_data(dataset)
    if not as_json:  # before plotting, which fails if the folder is not writable
        _print_inspection(inspection)
    figures_dir = data_dir / FIGURES
    with style.svg_copies(svg):
        figures = save_figures(dataset, figures_dir)
        if recipe is not None and augmentation is not None:
            path = figures_dir / f"augmentation-{recipe}.png"
            _plot_augmentation(dataset, recipe, augmentation, path)
            figures.append(path)
    if as_json:
        paths = [str(path) for path in figures]
        console.print_json({**asdict(inspection), "figures": paths})
        return
    names = ", ".join(path.name for path in figures)
    console.echo(f"figures in {figures_dir}: {names}")
    console.note("next: kd train --model dense")


def _plot_augmentation(
    dataset: Dataset, recipe: str, augmentation: Augmentation, path: Path
) -> None:
    from kaggle_digits.plots import digit_grids, style
    from kaggle_digits.training.augmentation import augment_images

    images = dataset.train.images[digit_grids.first_of_each_class(dataset.labels)]
    copies = augment_images(augmentation, images, digit_grids.COPIES)
    style.save(digit_grids.augmented_digits(images, copies, recipe, augmentation.summary), path)


def _print_inspection(inspection: Inspection) -> None:
    train, test = inspection.train, inspection.test
    console.show_table(
        ("", "train.csv", "test.csv"),
        (
            ("rows", f"{train.rows:,}", f"{test.rows:,}"),
            ("columns", f"{train.columns:,}", f"{test.columns:,}"),
            ("missing values", train.missing, test.missing),
            ("pixel values", f"{train.lowest}–{train.highest}", f"{test.lowest}–{test.highest}"),
            ("blank images", f"{train.blank:,}", f"{test.blank:,}"),
            ("duplicate rows", f"{train.duplicates:,}", f"{test.duplicates:,}"),
            ("images with two labels", f"{inspection.contradictions:,}", None),
            ("rows also in train.csv", None, f"{inspection.test_in_train:,}"),
            ("memory of the pixels", f"{train.bytes / 1e6:.1f} MB", f"{test.bytes / 1e6:.1f} MB"),
        ),
        title=f"Data from {inspection.source}",
        numeric=("train.csv", "test.csv"),
    )
    console.show_table(
        ("digit", "images", "share"),
        [
            (digit, f"{count:,}", f"{100 * count / train.rows:.2f} %")
            for digit, count in enumerate(inspection.classes)
        ],
        title="Images of each digit in train.csv",
        numeric=("digit", "images", "share"),
    )
