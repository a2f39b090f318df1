"""Single images of train.csv and test.csv, and the probabilities that a run predicts for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import TEST, TRAIN, Dataset
from kaggle_digits.models.formats import load_for_inference
from kaggle_digits.runs.run import Run
from kaggle_digits.training.predict import predict_images


@dataclass(frozen=True)
class Example:
    """One image, (28, 28) uint8, on ``line`` of ``file``, counted from 1.

    ``label`` is None in test.csv, ``image_id`` in train.csv. ``probabilities``, (10,) float32, are
    those in oof.npy or test.npy, None without a run. If the models were ``trained_on`` the image,
    they predicted it just now.
    """

    file: str
    line: int
    image_id: int | None
    label: int | None
    image: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    trained_on: bool

    @property
    def predicted(self) -> int | None:
        """The most probable digit; None without a run."""
        return None if self.probabilities is None else int(self.probabilities.argmax())


def find_examples(
    dataset: Dataset, lines: Sequence[int], run: Run | None = None, *, test: bool = False
) -> list[Example]:
    """Return the images on these lines of train.csv, or of test.csv if ``test``.

    The models are only loaded for images that oof.npy has no prediction of.

    Raises:
        UsageError: there is no image on a line.
        RunError: the run is unfinished, damaged, or was trained on other data.
        ModelError: a model cannot be read.
    """
    digits, file = (dataset.test, TEST) if test else (dataset.train, TRAIN)
    line_of_row = np.arange(len(digits)) + 2 if digits.lines is None else digits.lines
    rows = np.searchsorted(line_of_row, lines)
    for line, row in zip(lines, rows, strict=True):
        if row == len(digits) or line_of_row[row] != line:
            raise UsageError(
                f"{file} has no image on line {line}; line 1 is the header, and the images are on "
                f"lines {line_of_row[0]} to {line_of_row[-1]}"
            )
    images = digits.images[rows]
    probabilities = trained_on = None
    if run is not None:
        run.check_data(dataset)
        probabilities = run.test()[rows] if test else run.oof(dataset.labels)[rows]
        trained_on = np.isnan(probabilities[:, 0])
        if trained_on.any():
            models = map(load_for_inference, run.member_folders())
            probabilities[trained_on] = predict_images(run, models, images[trained_on])
    return [
        Example(
            file,
            line,
            int(dataset.ids[row]) if test else None,
            None if digits.labels is None else int(digits.labels[row]),
            images[position],
            None if probabilities is None else probabilities[position],
            trained_on is not None and bool(trained_on[position]),
        )
        for position, (line, row) in enumerate(zip(lines, rows, strict=True))
    ]
