"""Lines round a digit are erased, strokes of the digit are not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kaggle_digits.imaging.lines import erase_lines
from kaggle_digits.imaging.loading import open_picture, prepare
from tests.support.pictures import draw_digit, draw_strokes, overlap

EXPECTED = prepare(draw_digit(4)).image
FRAMED = Path(__file__).parents[3] / "shared" / "framed"


def rgb(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), np.float32) / 255


def cell(
    *, thickness: int, inset: int, rise: int = 0, size: int = 160, pen: int = 20
) -> Image.Image:
    """Draw a 4 in a cell whose lines run across the picture, ``inset`` pixels from its edges."""
    picture = Image.new("L", (size, size), 225)
    draw_strokes(picture, 4, (0.25 * size, 0.25 * size), size / 2, pen=40)
    draw = ImageDraw.Draw(picture)
    far = size - inset
    for ends in (
        (-5, inset - rise, size + 5, inset + rise),
        (-5, far - rise, size + 5, far + rise),
        (inset + rise, -5, inset - rise, size + 5),
        (far + rise, -5, far - rise, size + 5),
    ):
        draw.line(ends, fill=pen, width=thickness)
    return picture


@pytest.mark.parametrize("rise", [-2, 0, 2])
@pytest.mark.parametrize(("thickness", "inset"), [(2, 8), (5, 3), (9, 12), (11, 5)])
def test_digit_in_a_cell_is_read_as_without_lines(thickness: int, inset: int, rise: int) -> None:
    for pen in (20, 120):
        prepared = prepare(cell(thickness=thickness, inset=inset, rise=rise, pen=pen))
        assert prepared.note == ""
        assert overlap(prepared.image, EXPECTED) > 0.93


def test_form_box_inside_the_picture_is_erased() -> None:
    picture = Image.new("L", (52, 44), 255)
    draw_strokes(picture, 4, (16, 11), 20)
    ImageDraw.Draw(picture).rectangle((4, 3, 47, 40), outline=0, width=3)
    prepared = prepare(picture)
    assert prepared.note == ""
    assert overlap(prepared.image, EXPECTED) > 0.85


def test_light_lines_on_dark_paper_are_erased() -> None:
    inverted = Image.fromarray(255 - np.asarray(cell(thickness=5, inset=6)))
    assert overlap(prepare(inverted).image, EXPECTED) > 0.93


@pytest.mark.parametrize("digit", [1, 4, 7])
def test_strokes_of_a_digit_are_kept(digit: int) -> None:
    picture = draw_digit(digit)
    cut = picture.crop(Image.fromarray(255 - np.asarray(picture)).getbbox())
    for shown in (picture, cut):
        assert np.array_equal(erase_lines(rgb(shown)), rgb(shown))


def test_plain_and_tiny_pictures_are_unchanged() -> None:
    for size in ((1, 1), (3, 40), (60, 60)):
        plain = rgb(Image.new("L", size, 200))
        assert np.array_equal(erase_lines(plain), plain)


@pytest.mark.skipif(not FRAMED.is_dir(), reason="needs the shared pictures")
def test_no_line_remains_in_framed_pictures() -> None:
    """The digit of a framed picture lies in its middle; remains of lines would enlarge its box."""
    with (FRAMED / "labels.csv").open(encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["kind"] == "form"]
    for name in names:
        steps = prepare(open_picture(FRAMED / name, name)).steps
        digit, picture = steps["digit"].shape, steps["picture"].shape
        assert digit[0] < 0.8 * picture[0], name
        assert digit[1] < 0.7 * picture[1], name
