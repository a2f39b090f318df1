"""Facts about the data folder before training: rows, classes, duplicates, and figures of them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES, PIXEL_COLUMNS, TRAIN_COLUMNS, Digits

FIGURES = "figures"


@dataclass(frozen=True)
class FileSummary:
    """Facts about train.csv or test.csv.

    ``missing`` cells are always 0, since reading refuses a file with one; ``lowest`` and
    ``highest`` are pixel values; ``duplicates`` equal an earlier row; ``blank`` rows have only 0;
    ``bytes`` is the memory of the pixels.
    """

    rows: int
    columns: int
    missing: int
    lowest: int
    highest: int
    duplicates: int
    blank: int
    bytes: int


@dataclass(frozen=True)
class Inspection:
    """Facts about a data folder; ``classes`` are the labelled rows of each digit, 0 to 9.

    ``contradictions`` are images that occur in train.csv with more than one label,
    ``test_in_train`` rows of test.csv whose pixels also occur in train.csv.
    """

    source: str
    train: FileSummary
    test: FileSummary
    classes: tuple[int, ...]
    contradictions: int
    test_in_train: int


def inspect(dataset: Dataset) -> Inspection:
    """Summarize ``dataset``; 42,000 + 28,000 rows take well under a second."""
    train_rows = [image.tobytes() for image in dataset.train.images]
    test_rows = [image.tobytes() for image in dataset.test.images]
    train_set = set(train_rows)
    labelled = {*zip(train_rows, dataset.labels.tolist(), strict=True)}
    labels_per_image = Counter(image for image, _ in labelled)
    return Inspection(
        source=dataset.source.source,
        train=_summarize(dataset.train, len(TRAIN_COLUMNS), len(train_set)),
        test=_summarize(dataset.test, len(PIXEL_COLUMNS), len(set(test_rows))),
        classes=tuple(np.bincount(dataset.labels, minlength=CLASSES).tolist()),
        contradictions=sum(count > 1 for count in labels_per_image.values()),
        test_in_train=sum(row in train_set for row in test_rows),
    )


def save_figures(dataset: Dataset, folder: Path, seed: int = 0) -> list[Path]:
    """Save figures of ``dataset`` into ``folder``, which is created, and return their paths.

    ``seed`` selects the random digits. Raises StorageError if the folder cannot be written.
    """
    from kaggle_digits.plots import charts, digit_grids, style

    images, labels = dataset.train.images, dataset.labels
    figures = {
        "class-balance": charts.class_balance(np.bincount(labels, minlength=CLASSES)),
        "first-digits": digit_grids.first_digits(images, labels),
        "random-digits": digit_grids.random_digits(images, labels, seed),
        "mean-digits": digit_grids.mean_digits(images, labels),
    }
    for name, figure in figures.items():
        style.save(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def _summarize(digits: Digits, columns: int, distinct: int) -> FileSummary:
    images = digits.images
    return FileSummary(
        rows=len(images),
        columns=columns,
        missing=0,
        lowest=int(images.min()),
        highest=int(images.max()),
        duplicates=len(images) - distinct,
        blank=int((images.max(axis=(1, 2)) == 0).sum()),
        bytes=images.nbytes,
    )
