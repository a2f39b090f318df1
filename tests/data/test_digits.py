"""Reading train.csv and test.csv as images and labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.digits import PIXEL_COLUMNS, TRAIN_COLUMNS, read_test, read_train
from tests.support.competition_files import csv_bytes

Table = NDArray[np.uint8]


def write(path: Path, columns: list[str], table: Table) -> Path:
    path.write_bytes(csv_bytes(columns, table))
    return path


def test_train_csv_gives_images_and_labels(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    digits = read_train(path)
    assert digits.labels is not None
    assert digits.images.shape == (7, 28, 28)
    assert digits.images.dtype == digits.labels.dtype == np.uint8
    assert digits.images.flags.c_contiguous
    assert np.array_equal(digits.images.reshape(7, 784), table[:, 1:])
    assert np.array_equal(digits.labels, table[:, 0])
    assert digits.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(digits) == 7


def test_test_csv_has_no_labels(tmp_path: Path, table: Table) -> None:
    digits = read_test(write(tmp_path / "test.csv", PIXEL_COLUMNS, table[:, 1:]))
    assert digits.labels is None
    assert np.array_equal(digits.images.reshape(7, 784), table[:, 1:])


def test_train_and_test_files_are_not_interchangeable(tmp_path: Path, table: Table) -> None:
    with pytest.raises(DataError, match="expected the 784 columns pixel0 … pixel783"):
        read_test(write(tmp_path / "test.csv", TRAIN_COLUMNS, table))
    with pytest.raises(DataError, match="expected the 785 columns label … pixel783"):
        read_train(write(tmp_path / "train.csv", PIXEL_COLUMNS, table[:, 1:]))


def test_truncated_last_row_is_reported(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"line 8: .* values instead of 785"):
        read_train(path)
