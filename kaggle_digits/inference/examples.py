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


@dataclass
class Example:
    """One image, (28, 28) uint8, on ``line`` of ``file``, counted from 1.

    ``label`` is None in test.csv, ``image_id`` in train.csv. ``probabilities``, of the digits, are
    those in oof.npy or test.npy; if the models were ``trained_on`` the image, they predicted it
    just now. Without a run, they and ``predicted``, the most probable digit, are None.
    """

    file: str
    line: int
    image_id: int | None
    label: int | None
    image: NDArray[np.uint8]
    probabilities: list[float] | None = None
    predicted: int | None = None
    trained_on: bool = False


def find_examples(
    dataset: Dataset, lines: Sequence[int], run: Run | None = None, *, test: bool = False
) -> list[Example]:
    """Return the images on these lines of train.csv, or of test.csv if ``test``.

    UsageError: there is no image on a line. RunError, ModelError: the run is unfinished, damaged,
    or was trained on other data.
    """
    digits, file = (dataset.test, TEST) if test else (dataset.train, TRAIN)
    numbers = digits.row_lines.tolist()
    row_of_line = {line: row for row, line in enumerate(numbers)}
    if missing := [line for line in lines if line not in row_of_line]:
        raise UsageError(
            f"{file} has no image on line {missing[0]}; line 1 is the header, and the images are "
            f"on lines {numbers[0]} to {numbers[-1]}"
        )
    examples = []
    for line in lines:
        row = row_of_line[line]
        image_id = int(dataset.ids[row]) if test else None
        label = None if digits.labels is None else int(digits.labels[row])
        examples.append(Example(file, line, image_id, label, digits.images[row]))
    if run is not None:
        run.check_data(dataset)
        predicted = run.test() if test else run.oof(dataset.labels)
        for example in examples:
            probabilities = predicted[row_of_line[example.line]]
            if np.isnan(probabilities).any():  # the only case that loads the models
                models = map(load_for_inference, run.member_folders())
                probabilities = predict_images(run, models, example.image[None])[0]
                example.trained_on = True
            example.probabilities = probabilities.tolist()
            example.predicted = int(probabilities.argmax())
    return examples
