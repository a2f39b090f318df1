"""Bombs, moving, cut and other files where a picture is expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kaggle_digits.core.errors import DataError
from kaggle_digits.imaging import loading
from kaggle_digits.imaging.loading import open_picture, prepare
from tests.robustness.hostile_pictures import bombs, moving, no_pictures, one_of_each_kind, read


@pytest.mark.parametrize("number", range(5))
def test_moving_pictures_are_refused(number: int) -> None:
    content = list(moving(quick=True))[number]
    with pytest.raises(DataError, match="moves or has several pages"):
        open_picture(content, "x")


@pytest.mark.parametrize("content", list(no_pictures()))
def test_other_files_are_no_pictures(content: bytes) -> None:
    with pytest.raises(DataError, match="x is no picture that can be read"):
        open_picture(content, "x")


def test_every_kind_cut_anywhere_is_read_or_refused() -> None:
    for content in one_of_each_kind():
        assert prepare(open_picture(content, "x")).image.any()
        for share in (0.02, 0.3, 0.6, 0.9):
            try:
                found = prepare(open_picture(content[: int(share * len(content))], "x"))
            except DataError:
                continue
            assert found.image.shape == (28, 28)


def test_bombs_are_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    row = read(tmp_path, "bombs", list(bombs())[:12])
    assert not row.bad, row


def test_more_bytes_and_pipes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match="x has more than 1 MB"):
        open_picture(bytes((1 << 20) + 1), "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is no file but a device or pipe"):
        open_picture(tmp_path / "pipe", "pipe")
