"""Digits on sheets."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kaggle_digits.imaging.loading import open_picture, prepare_sheet
from kaggle_digits.imaging.sheets import count_digits, find_seams, remove_lines
from tests.support.pictures import draw_strokes, encode

# Digit, left and top of each digit, 80 pixels high.
PLACES = [(1, 40, 40), (4, 130, 44), (7, 220, 36), (7, 60, 180), (1, 150, 184)]


def sheet(paper: int = 235, pen: int = 40) -> Image.Image:
    picture = Image.new("L", (400, 300), paper)
    for digit, left, top in PLACES:
        draw_strokes(picture, digit, (left, top), 80, pen=pen)
    return picture


def middles(picture: Image.Image) -> list[tuple[float, float]]:
    """Return the middle of each part's box, by rows."""
    parts = prepare_sheet(picture).parts
    boxes = [part.candidates[0, part.pieces].box for part in parts]
    return sorted((round((b[1] + b[3]) / 2, -2), (b[0] + b[2]) / 2) for b in boxes)


def assert_all_found(picture: Image.Image) -> None:
    found = middles(picture)
    expected = sorted((round(top + 40, -2), left + 40) for _, left, top in PLACES)
    assert len(found) == len(expected)
    assert np.allclose(found, expected, atol=12)


def test_finds_every_digit_and_its_box() -> None:
    assert_all_found(sheet())
    candidates = [part.candidates[0, part.pieces] for part in prepare_sheet(sheet()).parts]
    candidate = min(candidates, key=lambda each: each.box[0] + each.box[1])
    assert candidate.image.shape == (28, 28)
    left, top, right, bottom = candidate.box
    assert (top, bottom) == pytest.approx((44, 116), abs=4)
    assert left < 80 < right


def test_light_ink_on_dark_paper() -> None:
    assert_all_found(sheet(paper=20, pen=230))


def test_hard_shadow_and_noise() -> None:
    values = np.asarray(sheet(), np.float64)
    values[:, 170:] *= 0.45
    values += np.random.default_rng(0).normal(0, 4, values.shape)
    assert_all_found(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)))


def test_squared_paper() -> None:
    picture = sheet()
    draw = ImageDraw.Draw(picture)
    for position in range(10, 400, 25):
        draw.line([(position, 0), (position + 4, 299)], fill=110)
        draw.line([(0, position), (399, position + 4)], fill=110)
    for digit, left, top in PLACES:
        draw_strokes(picture, digit, (left, top), 80, pen=40)
    assert_all_found(picture)


def test_boxes_are_those_of_the_upright_picture_at_full_size() -> None:
    large = sheet().resize((4000, 3000)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90° clockwise
    opened = open_picture(encode(large, "JPEG", exif=exif), "large")
    boxes = [part.candidates[0, part.pieces].box for part in prepare_sheet(opened).parts]
    assert len(boxes) == len(PLACES)
    assert min(box[0] for box in boxes) == pytest.approx(740, abs=60)
    assert max(box[2] for box in boxes) == pytest.approx(2880, abs=60)


def test_touching_digits_have_candidates_for_both_and_for_the_whole() -> None:
    picture = Image.new("L", (300, 160), 240)
    draw_strokes(picture, 7, (60, 30), 100, pen=20)
    draw_strokes(picture, 4, (118, 30), 100, pen=20)
    (part,) = prepare_sheet(picture).parts
    whole = part.candidates[0, part.pieces].box
    assert (whole[0], whole[2]) == pytest.approx((72, 206), abs=6)
    spans = [(c.box[0], c.box[2]) for c in part.candidates.values()]
    assert any(span == pytest.approx((72, 148), abs=10) for span in spans)
    assert any(span == pytest.approx((135, 206), abs=10) for span in spans)


def test_tiny_pictures_and_pictures_without_ink() -> None:
    assert len(prepare_sheet(sheet().resize((80, 60), Image.Resampling.BOX)).parts) == len(PLACES)
    for value in (0, 128, 255):
        assert not prepare_sheet(Image.new("L", (200, 100), value)).parts
    for size in ((1, 1), (1, 40), (3, 3)):
        assert not prepare_sheet(Image.new("L", size, 255)).parts


def test_noise_is_bounded() -> None:
    values = np.random.default_rng(0).integers(0, 256, (500, 700)).astype(np.uint8)
    assert len(prepare_sheet(Image.fromarray(values)).parts) < 100


def test_count_digits() -> None:
    luminance = np.asarray(sheet(), np.float32) / np.float32(255)
    assert count_digits(luminance) == len(PLACES)
    assert count_digits(np.ones((50, 50), np.float32)) == 0


def test_long_strokes_are_not_lines_of_the_paper() -> None:
    mask = np.zeros((200, 300), np.bool_)
    mask[20:180, 100:104] = True
    mask[100:103, 110:200] = True
    assert (remove_lines(mask) == mask).all()
    mask[150:152] = True  # from edge to edge
    assert not remove_lines(mask)[150:152, :90].any()
    assert remove_lines(mask)[150:152, 100:104].all(), "shared with the stroke that crosses it"


def test_seam_between_two_blocks_crosses_no_ink() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[:, 3:25] = mask[:, 32:57] = True
    seams = find_seams(mask)
    assert any(not mask[np.arange(40), seam].any() for seam in seams)


def test_thick_strokes_of_a_drawing() -> None:
    picture = Image.new("L", (280, 160), 255)
    for digit, left in ((7, 20), (4, 150)):
        draw_strokes(picture, digit, (left, 25), 110, width=0.2)
    assert len(prepare_sheet(picture).parts) == 2
