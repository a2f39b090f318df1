"""A search that several tests read."""

from __future__ import annotations

import pytest

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.tuning.results import SearchResult
from kaggle_digits.tuning.search import search
from tests.support.searches import RATES, SMALL, SPLIT


@pytest.fixture(scope="package")
def result(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """The result of twelve trials with learning rates from useless to good."""
    runs_dir = tmp_path_factory.mktemp("result")
    return search(dataset, SMALL, RATES, SPLIT, trials=12, runs_dir=runs_dir)
