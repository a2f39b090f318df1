"""Saliency of errors: which pixels a prediction depends on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation.evaluate import evaluate
from kaggle_digits.evaluation.saliency import (
    decisive_part,
    error_saliency,
    occlusion,
    probability_drop,
)
from kaggle_digits.metrics.classification import predictions_at
from kaggle_digits.runs.run import Run


def test_only_the_pixel_that_decides_is_salient() -> None:
    def predict_proba(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = np.full((len(images), 10), 0.05, np.float32)
        probabilities[:, 3] = np.where(images[:, 13, 8] > 0, 0.5, 0.1)
        probabilities[:, 5] = 0.6 - probabilities[:, 3]
        return probabilities

    image = np.full((28, 28), 255, np.uint8)
    saliency = occlusion(predict_proba, image, 3, 5)
    assert saliency.shape == (28, 28)
    assert saliency[13, 8] == saliency.max() > 0
    assert (saliency[:8] == 0).all()
    assert np.allclose(occlusion(predict_proba, image, 5, 3), -saliency)
    assert (image == 255).all()


def test_the_probability_falls_where_the_stroke_is_covered() -> None:
    sizes = []

    def predict_proba(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(images))
        probabilities = np.full((len(images), 10), 0.05, np.float32)
        probabilities[:, 3] = np.where(images[:, 13, 8] > 0, 0.5, 0.125)
        return probabilities

    image = np.zeros((28, 28), np.uint8)
    image[10:16, 8] = 255
    drop, lowest = probability_drop(predict_proba, image, 3)
    assert drop.shape == (28, 28)
    assert drop[13, 8] == drop.max() == 0.375
    assert (drop[20:] == 0).all()
    assert lowest == 0.125
    assert sum(sizes) < 20, "squares without ink are not predicted"


def test_the_smallest_part_that_decides_is_found() -> None:
    def predict_proba(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        ink = (images[:, 10:15, 18] > 0).sum(axis=1)
        probabilities = np.zeros((len(images), 10), np.float32)
        probabilities[:, 3] = 0.2 * ink
        probabilities[:, 5] = 1 - 0.2 * ink
        return probabilities

    image = np.zeros((28, 28), np.uint8)
    image[4:26, 8] = image[10:15, 18] = 255
    part = decisive_part(predict_proba, image, 3)
    assert part is not None
    left, top, right, bottom = part.box
    assert left <= 18 < right
    assert right - left == bottom - top == 4
    assert (part.where, part.digit) == ("middle right", 5)
    assert part.probability == pytest.approx(0.8)
    assert decisive_part(lambda images: np.tile(np.eye(10)[3], (len(images), 1)), image, 3) is None


def test_errors_of_keras_networks_are_explained(trained_run: Run, sample_dataset: Dataset) -> None:
    rows = trained_run.folds(sample_dataset)[0].val[:3]
    probabilities = np.full((3, 10), 0.1, np.float32)
    errors = predictions_at(probabilities, sample_dataset.labels[rows], rows, np.arange(3))
    maps = error_saliency(trained_run, sample_dataset, errors)
    assert maps is not None
    assert maps.shape == (3, 28, 28)
    assert np.isfinite(maps).all()
    assert error_saliency(trained_run, sample_dataset, []) is None


def test_a_run_without_networks_has_no_saliency(run: Run, dataset: Dataset) -> None:
    evaluation = evaluate(run, dataset)
    assert evaluation.most_confident_errors
    assert "saliency" not in evaluation.figures
    assert "Pixels behind" not in evaluation.report.read_text(encoding="utf-8")
