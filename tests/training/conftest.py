"""Trainings that several test files read."""

from __future__ import annotations

import pytest

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.runs.run import Run
from kaggle_digits.training.train import train
from tests.support.trainings import FOLDS, TWO


@pytest.fixture(scope="session")
def ensemble(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted training of two recipes on three folds."""
    return train(dataset, TWO, FOLDS, runs_dir=tmp_path_factory.mktemp("runs"))
