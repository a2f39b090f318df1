"""The sample as arrays, fetched once."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.data.folder import Dataset, load


@pytest.fixture(scope="session")
def dataset(sample: Path) -> Dataset:
    """1,078 labelled and 719 unlabelled digits."""
    return load(sample)
