"""Pictures are prepared in a process with limited time and memory."""

import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.core.errors import DataError
from kaggle_digits.imaging.loading import (
    MAX_PIXELS,
    TooManyPixelsError,
    open_picture,
    prepare,
    prepare_sheet,
)
from kaggle_digits.imaging.reader import COMMAND, PictureReader, ReaderPool
from tests.robustness.hostile_pictures import endless
from tests.support.pictures import draw_digit, draw_strokes, encode


@pytest.fixture(scope="module")
def reader() -> Iterator[PictureReader]:
    """One process for all tests."""
    with_process = PictureReader()
    yield with_process
    with_process.close()


def test_pictures_are_prepared_as_in_this_process(reader: PictureReader, tmp_path: Path) -> None:
    content = encode(draw_digit(4))
    (tmp_path / "four.png").write_bytes(content)
    expected = prepare(open_picture(content, "x"))
    for source in (content, tmp_path / "four.png"):
        prepared = reader.prepare(source, "x", with_steps=True)
        assert np.array_equal(prepared.image, expected.image)
        assert list(prepared.steps) == list(expected.steps)
    assert not reader.prepare(content, "x").steps


def test_errors_are_those_of_open_picture(reader: PictureReader, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: no such file"):
        reader.prepare(tmp_path / "gone", "gone")
    with pytest.raises(TooManyPixelsError):
        reader.prepare(encode(draw_digit(4)), "x", max_pixels=100)


@pytest.fixture(scope="module")
def impatient_reader() -> Iterator[PictureReader]:
    """A reader that gives a picture half a second of the processor, an eighth of the usual time."""
    settings = "from kaggle_digits.imaging import reader; reader.MAX_SECONDS = 0.5; reader.serve()"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kaggle_digits.imaging.reader.COMMAND", COMMAND.split("from")[0] + settings)
        with_process = PictureReader()
        yield with_process
        with_process.close()


@pytest.mark.parametrize("number", [0, 2])
def test_picture_that_takes_too_long_is_refused(
    impatient_reader: PictureReader, number: int
) -> None:
    content = next(islice(endless(), number, None))
    start = time.process_time()
    with pytest.raises(DataError, match="x takes too long to decode"):
        impatient_reader.prepare(content, "x")
    assert time.process_time() - start < 0.5, "the time is spent in the other process"
    assert impatient_reader.prepare(encode(draw_digit(4)), "x").image.any(), "by a new process"


def test_crash_of_a_decoder_is_an_error_of_the_picture(reader: PictureReader) -> None:
    reader._process.terminate()
    reader._process.wait()
    assert reader.prepare(encode(draw_digit(4)), "x").image.any()


def test_closing_ends_what_is_being_prepared() -> None:
    pool = ReaderPool()
    threading.Timer(0.5, pool.close).start()
    start = time.monotonic()
    with pool.reader() as own, pytest.raises(DataError, match="interrupted"):
        own.prepare(next(iter(endless())), "x", 10**9)
    assert time.monotonic() - start < 30


def test_sheet_is_prepared_as_in_this_process(reader: PictureReader) -> None:
    picture = Image.new("L", (200, 120), 255)
    for digit, left in ((1, 10), (4, 100)):
        draw_strokes(picture, digit, (left, 20), 80)
    content = encode(picture)
    sheet = reader.prepare_sheet(content, "x", MAX_PIXELS)
    expected = prepare_sheet(open_picture(content, "x"))
    assert len(sheet.parts) == len(expected.parts) == 2
    assert (sheet.picture == expected.picture).all()
    with pytest.raises(DataError, match="not a readable picture"):
        reader.prepare_sheet(b"text", "notes")
