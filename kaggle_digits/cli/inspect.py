"""kd inspect: describe and plot the data."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.errors import NotWritableError

if TYPE_CHECKING:
    from kaggle_digits.evaluation.data_inspection import Inspection


def inspect(
    recipe: str | None = option(
        "Also plot its augmentation.", metavar="RECIPE", autocompletion=options.complete_recipes
    ),
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Show rows, classes and duplicates of the data, and plot it into data/figures/.

    If the data folder is read-only, the figures go into data-figures/ of the working folder.
    """
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.data_inspection import FIGURES, save_figures
    from kaggle_digits.evaluation.data_inspection import inspect as inspect_data
    from kaggle_digits.plots import digit_grids, style
    from kaggle_digits.training.augmentation import augment_images
    from kaggle_digits.training.recipes import find_augmentation

    augmentation = find_augmentation(recipe) if recipe is not None else None
    dataset = load(data_dir)
    inspection = inspect_data(dataset)
    if not as_json:  # before plotting, which may fail
        _print_inspection(inspection)

    def plot(folder: Path) -> list[Path]:
        figures = save_figures(dataset, folder)
        if recipe is not None and augmentation is not None:
            images = dataset.train.images[digit_grids.first_of_each_class(dataset.labels)]
            copies = augment_images(augmentation, images, digit_grids.COPIES)
            summary = augmentation.summary
            figures.append(folder / f"augmentation-{Path(recipe).stem}.png")
            style.save(digit_grids.augmented_digits(images, copies, recipe, summary), figures[-1])
        return figures

    figures: list[Path] = []
    for folder in (data_dir / FIGURES, Path(f"{data_dir.resolve().name}-{FIGURES}")):
        try:
            figures = plot(folder)
            break
        except NotWritableError:
            console.note(f"{folder} cannot be written: no figures there")
    if as_json:
        console.print_json({**asdict(inspection), "figures": figures})
        return
    if figures:
        names = ", ".join(path.name for path in figures)
        console.echo(f"figures in {figures[0].parent}: {names}")
    console.note("next: kd train dense")


def _print_inspection(inspection: "Inspection") -> None:
    train, test = inspection.train, inspection.test
    columns = {"": "", "train.csv": ",", "test.csv": ","}
    rows = (
        ("rows", train.rows, test.rows),
        ("columns", train.columns, test.columns),
        ("missing values", train.missing, test.missing),
        ("pixel values", f"{train.lowest}–{train.highest}", f"{test.lowest}–{test.highest}"),
        ("blank images", train.blank, test.blank),
        ("duplicate rows", train.duplicates, test.duplicates),
        ("images with two labels", inspection.contradictions, None),
        ("rows also in train.csv", None, inspection.test_in_train),
        ("memory of the pixels", f"{train.bytes / 1e6:.1f} MB", f"{test.bytes / 1e6:.1f} MB"),
    )
    console.show_table(columns, rows, f"Data from {inspection.source}")
    if train.duplicates:
        console.warn(
            f"{train.duplicates:,} rows of train.csv have the image of an earlier row; split into "
            "training and validation rows, they make the accuracy too high (kd train counts them)"
        )
    columns = {"digit": ">", "images": ",", "share": ">"}
    classes = [
        (digit, count, console.percent(count / train.rows))
        for digit, count in enumerate(inspection.classes)
    ]
    console.show_table(columns, classes, "Images of each digit in train.csv")
