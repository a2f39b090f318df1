"""Reading train.csv and test.csv as images and labels, and the cache of the parsed files."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.data import digits as digits_module
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


def settle(path: Path) -> None:
    """Make the file older than SETTLED_SECONDS."""
    old = time.time() - 100
    os.utime(path, (old, old))


def test_second_read_does_not_parse(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    first = read_train(path)
    monkeypatch.setattr(digits_module, "read_int_csv", None)
    again = read_train(path)
    assert np.array_equal(first.images, again.images)
    assert first.sha256 == again.sha256


def test_changed_content_is_parsed_again(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    stat = path.stat()
    read_train(path)
    changed = table.copy()
    changed[3, 0] = (changed[3, 0] + 1) % 10
    write(path, TRAIN_COLUMNS, changed)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and modification time
    labels = read_train(path).labels
    assert labels is not None
    assert np.array_equal(labels, changed[:, 0])
    assert len(list((tmp_path / digits_module.CACHE_FOLDER).glob("*.npy"))) == 1, (
        "the old array is deleted"
    )


def test_unchanged_files_are_not_hashed_again(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    monkeypatch.setattr(digits_module, "SETTLED_SECONDS", 0.0)
    settle(path)
    first = read_train(path)
    monkeypatch.setattr(digits_module, "read_content", None)
    assert read_train(path).sha256 == first.sha256


@pytest.mark.parametrize("damage", [b"", b"not an array", None])
def test_damaged_cache_is_replaced(tmp_path: Path, table: Table, damage: bytes | None) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    read_train(path)
    (cached,) = (tmp_path / digits_module.CACHE_FOLDER).glob("*.npy")
    if damage is None:
        cached.write_bytes(cached.read_bytes()[:-50])
    else:
        cached.write_bytes(damage)
    assert np.array_equal(read_train(path).images.reshape(7, 784), table[:, 1:])


def test_unwritable_cache_folder_is_ignored(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    (tmp_path / digits_module.CACHE_FOLDER).write_text("a file is in the way")
    assert len(read_train(path)) == 7
