"""A finished run's models → probabilities of test.csv, again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.folder import Dataset
from kaggle_digits.models.classifier import load_classifier
from kaggle_digits.models.views import view_probabilities
from kaggle_digits.runs import Run


def predict_again(run: Run, dataset: Dataset, views: int = 1) -> NDArray[np.float32]:
    """(n_test, 10) float32: test.csv predicted by every member of ``run``, averaged.

    Args:
        run: a finished run.
        dataset: the data it was trained on.
        views: of each image, as in kaggle_digits.models.views.

    Raises:
        RunError: the run was trained on other data.
        ModelError: a member's model cannot be read.
        UsageError: no such number of views.
    """
    run.check_data(dataset)
    folders = run.member_folders()
    total = np.zeros((len(dataset.test), 10), np.float64)
    for folder in folders:
        total += view_probabilities(load_classifier(folder), dataset.test.images, views)
    return (total / len(folders)).astype(np.float32)
