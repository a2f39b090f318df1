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
    assert len(list((tmp_path / digits_module.CACHE_FOLDER).glob("*.npz"))) == 1, (
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


def test_every_damaged_byte_of_the_cache_is_noticed(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    monkeypatch.setattr(digits_module, "SETTLED_SECONDS", 0.0)  # the cache is used unseen
    settle(path)
    read_train(path)
    (cached,) = (tmp_path / digits_module.CACHE_FOLDER).iterdir()
    sound = cached.read_bytes()
    cut = [sound[:length] for length in range(0, len(sound), 499)]
    zeroed = [sound[:length] + bytes(len(sound) - length) for length in range(0, len(sound), 499)]
    turned = [sound[:k] + bytes([sound[k] ^ 1]) + sound[k + 1 :] for k in range(0, len(sound), 61)]
    for damaged in (*cut, *zeroed, *turned, b"not a zip"):
        cached.write_bytes(damaged)
        digits = read_train(path)
        assert digits.labels is not None
        assert np.array_equal(digits.images.reshape(7, 784), table[:, 1:])
        assert np.array_equal(digits.labels, table[:, 0])
        assert digits.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_cache_is_flushed_before_it_is_renamed(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    read_train(write(tmp_path / "train.csv", TRAIN_COLUMNS, table))
    assert flushed


def test_cache_of_an_earlier_version_is_deleted(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    folder = tmp_path / digits_module.CACHE_FOLDER
    folder.mkdir()
    for name in ("train.csv.json", "train.csv.0123.1.npy"):
        (folder / name).touch()
    read_train(path)
    assert [one.name for one in folder.iterdir()] == ["train.csv.2.npz"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipe_in_place_of_the_cache_is_replaced(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    cache = tmp_path / digits_module.CACHE_FOLDER / "train.csv.2.npz"
    cache.parent.mkdir()
    os.mkfifo(cache)
    assert len(read_train(path)) == 7
    assert cache.is_file()


def test_lines_of_rows_count_empty_lines(tmp_path: Path, table: Table) -> None:
    sound = csv_bytes(TRAIN_COLUMNS, table)
    path = tmp_path / "train.csv"
    path.write_bytes(sound + b"\n\n")
    assert read_train(path).lines is None
    lines = sound.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"\r\n", *lines[3:5], b"\n\r", *lines[5:]]))
    for _ in range(2):  # from the file and from the cache
        digits = read_train(path)
        assert digits.lines is not None
        assert digits.lines.tolist() == [2, 3, 5, 6, 9, 10, 11]
        assert np.array_equal(digits.images.reshape(7, 784), table[:, 1:])


def test_file_shortened_while_it_is_in_use_does_not_kill_the_process(
    tmp_path: Path, table: Table
) -> None:
    """A mapped file that another program shortens ends the process with SIGBUS."""
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    for _ in range(2):
        digits = read_train(path)
        for file in (path, *(tmp_path / digits_module.CACHE_FOLDER).iterdir()):
            os.truncate(file, 0)
        assert np.array_equal(digits.images.reshape(7, 784), table[:, 1:])
        write(path, TRAIN_COLUMNS, table)


def test_unwritable_cache_folder_is_ignored(tmp_path: Path, table: Table) -> None:
    path = write(tmp_path / "train.csv", TRAIN_COLUMNS, table)
    (tmp_path / digits_module.CACHE_FOLDER).write_text("a file is in the way")
    assert len(read_train(path)) == 7
