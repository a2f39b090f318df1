"""Fixtures: small data, out-of-fold predictions and a run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.runs.run import Run
from tests.support import small_runs


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """300 labelled and 60 unlabelled digits."""
    return load(small_runs.write_data(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="session")
def sample_dataset(sample: Path) -> Dataset:
    """The data that ``trained_run`` was trained on."""
    return load(sample)


@pytest.fixture(scope="session")
def oof(dataset: Dataset) -> NDArray[np.float32]:
    """(300, 10) out-of-fold probabilities of a linear model, which makes a few errors."""
    return small_runs.linear_oof(dataset)


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]) -> Run:
    """A finished run of three folds."""
    return small_runs.write_run(tmp_path / "runs", dataset, oof)
