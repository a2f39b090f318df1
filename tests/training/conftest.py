"""The sample, fetched once; recipes that train in a blink."""

from __future__ import annotations

import pytest

from kaggle_digits.competition.sources import fetch
from kaggle_digits.data.folder import Dataset, load


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """1,078 labelled and 719 unlabelled digits."""
    folder = tmp_path_factory.mktemp("sample")
    fetch("sample", folder)
    return load(folder)
