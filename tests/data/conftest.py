"""A small table for the tests of the CSV files and their cache."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def table() -> NDArray[np.uint8]:
    """Seven rows in the form of train.csv."""
    table = np.random.default_rng(0).integers(0, 256, (7, 785), dtype=np.uint8)
    table[:, 0] %= 10
    return table
