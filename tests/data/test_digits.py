"""Reading train.csv and test.csv, and the cache behind it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.data import cache
from kaggle_digits.data.digits import PIXEL_COLUMNS, TRAIN_COLUMNS, read_test, read_train

Table = NDArray[np.uint8]


@pytest.fixture
def table() -> Table:
    table = np.random.default_rng(0).integers(0, 256, (7, 785), dtype=np.uint8)
    table[:, 0] %= 10
    return table


def write(path: Path, columns: list[str], table: Table) -> Path:
    lines = [",".join(columns), *[",".join(map(str, row)) for row in table.tolist()]]
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def settle(path: Path) -> None:
    """Make the file old enough to be trusted by its time stamps."""
    old = time.time() - 100
    os.utime(path, (old, old))


def test_train_csv_is_read_as_images_and_labels(tmp_path: Path, table: Table) -> None:
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


def test_train_and_test_are_not_taken_for_each_other(tmp_path: Path, table: Table) -> None:
    with pytest.raises(DataError, match="expected the 784 columns pixel0 … pixel783"):
        read_test(write(tmp_path / "test.csv", TRAIN_COLUMNS, table))
    with pytest.raises(DataError, match="expected the 785 columns label … pixel783"):
        read_train(write(tmp_path / "train.csv", PIXEL_COLUMNS, table[:, 1:]))


def test_a_truncated_last_row_is_found(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"line 8: .* values instead of 785"):
        read_train(path)


def test_a_second_read_parses_nothing(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    first = read_train(path)
    monkeypatch.setattr("kaggle_digits.data.digits.read_int_csv", None)
    again = read_train(path)
    assert np.array_equal(first.images, again.images)
    assert first.sha256 == again.sha256


def test_changed_content_is_never_served_from_the_cache(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    stat = path.stat()
    read_train(path)
    changed = table.copy()
    changed[3, 0] = (changed[3, 0] + 1) % 10
    write(path, TRAIN_COLUMNS, changed)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time
    labels = read_train(path).labels
    assert labels is not None
    assert np.array_equal(labels, changed[:, 0])
    assert len(list((tmp_path / cache.FOLDER).glob("*.npy"))) == 1, "the old array is gone"


def test_settled_files_are_not_hashed_again(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    monkeypatch.setattr(cache, "SETTLED_SECONDS", 0.0)
    settle(path)
    first = read_train(path)
    monkeypatch.setattr(cache, "read_content", None)
    assert read_train(path).sha256 == first.sha256


@pytest.mark.parametrize("damage", [b"", b"not an array", None])
def test_a_damaged_cache_is_made_again(tmp_path: Path, table: Table, damage: bytes | None) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    read_train(path)
    (kept,) = (tmp_path / cache.FOLDER).glob("*.npy")
    if damage is None:
        kept.write_bytes(kept.read_bytes()[:-50])
    else:
        kept.write_bytes(damage)
    assert np.array_equal(read_train(path).images.reshape(7, 784), table[:, 1:])


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    (tmp_path / cache.FOLDER).write_text("a file is in the way")
    assert len(read_train(path)) == 7
