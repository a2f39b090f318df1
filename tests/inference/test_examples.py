"""Single images of the data with the predictions of a run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.inference.examples import find_examples
from kaggle_digits.runs.run import Run


def test_held_out_images_have_the_predictions_of_the_run(
    trained_run: Run, dataset: Dataset
) -> None:
    (fold,) = trained_run.folds(dataset)
    val, train = int(fold.val[0]), int(fold.train[0])
    held_out, trained_on = find_examples(dataset, [val + 2, train + 2], trained_run)
    assert held_out.probabilities is not None
    assert np.array_equal(held_out.probabilities, trained_run.oof()[val])
    assert held_out.label == dataset.labels[val]
    assert np.array_equal(held_out.image, dataset.train.images[val])
    assert not held_out.trained_on
    assert trained_on.trained_on
    assert trained_on.probabilities is not None
    assert sum(trained_on.probabilities) == pytest.approx(1, abs=1e-5)


def test_images_of_test_csv(trained_run: Run, dataset: Dataset) -> None:
    (example,) = find_examples(dataset, [6], trained_run, test=True)
    assert (example.file, example.image_id, example.label) == ("test.csv", 5, None)
    assert example.probabilities is not None
    assert np.array_equal(example.probabilities, trained_run.test()[4])


def test_lines_are_those_of_the_file(dataset: Dataset) -> None:
    """An empty line of the file moves all later images down."""
    lines = np.arange(len(dataset.train)) + 2
    lines[3:] += 1
    moved = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, lines=lines))
    (example,) = find_examples(moved, [6])
    assert np.array_equal(example.image, dataset.train.images[3])
    assert (example.probabilities, example.predicted) == (None, None)
    for line in (1, 5, len(lines) + 3):
        with pytest.raises(UsageError, match=f"no image on line {line}; .* lines 2 to 1080"):
            find_examples(moved, [line])
