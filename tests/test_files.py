"""Files are whole or absent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.errors import StorageError
from kaggle_digits.files import sha256, write_json, write_text, write_whole
from tests.fakes.disks import SmallDisk, small_disk

__all__ = ["small_disk"]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_what_is_written_stands_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "zwölf\r\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "zwölf\r\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]
    write_json(tmp_path / "c.json", {"a": [1, None]})
    assert json.loads((tmp_path / "c.json").read_text()) == {"a": [1, None]}


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), write_whole(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["kept.txt"]


def test_the_suffix_stays_for_writers_that_go_by_it(tmp_path: Path) -> None:
    with write_whole(tmp_path / "array.npy") as part:
        assert part.suffix == ".npy"
        np.save(part, np.arange(3))
    assert np.load(tmp_path / "array.npy").tolist() == [0, 1, 2]


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_full_disk_is_explained_and_loses_nothing(small_disk: SmallDisk) -> None:
    disk = small_disk(64)
    write_text(disk / "kept.txt", "old")
    with pytest.raises(StorageError, match=r"no space left on the disk while writing .*kept\.txt"):
        write_text(disk / "kept.txt", "x" * 100_000)
    assert (disk / "kept.txt").read_text() == "old"
    assert names(disk) == ["kept.txt"]
