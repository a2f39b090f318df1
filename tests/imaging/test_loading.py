"""Pictures of any kind are preprocessed to the same 28 × 28 image."""

from __future__ import annotations

import os
import sys
import types
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import load
from kaggle_digits.imaging import loading
from kaggle_digits.imaging.loading import (
    NO_DIGIT,
    SEVERAL_DIGITS,
    list_pictures,
    open_picture,
    prepare,
)
from tests.robustness.hostile_pictures import bombs, moving, no_pictures, one_of_each_kind, read
from tests.support.pictures import draw_digit, draw_strokes, encode, overlap
from tests.support.strokes import DIGITS

EXPECTED = prepare(draw_digit(4)).image


def gradient(picture: Image.Image) -> Image.Image:
    down, across = np.indices((200, 200)) / 200
    light = 130 + 60 * down + 60 * across
    shade = light * (0.15 + 0.85 * np.asarray(picture, float) / 255)
    return Image.fromarray(shade.astype(np.uint8))


def transparent(pen: int) -> Image.Image:
    cover = np.asarray(draw_digit(4, paper=0, pen=255))
    return Image.fromarray(np.stack([np.full_like(cover, pen)] * 3 + [cover], axis=2))


def on_a_table() -> Image.Image:
    table = Image.new("RGB", (400, 300), (60, 40, 30))
    table.paste(draw_digit(4, paper=(240, 238, 230), pen=(20, 20, 90)), (110, 50))
    return table


def ruled(darkness: int) -> Image.Image:
    picture = Image.new("L", (400, 300), 230)
    draw_strokes(picture, 4, (150, 60), 120, pen=40)
    lines = np.full((300, 400), 255, np.uint8)
    lines[20::28], lines[21::28] = 255 - darkness, 255 - darkness
    lines[:, 30::28] = 255 - darkness
    return Image.fromarray(np.minimum(np.asarray(picture), lines))


def noisy() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(
        np.clip(np.asarray(draw_digit(4), float) + rng.normal(0, 15, (200, 200)), 0, 255).astype(
            np.uint8
        )
    )


SIXTEEN = Image.fromarray(np.asarray(draw_digit(4)).astype(np.uint16) * 200)
KINDS: dict[str, Any] = {
    "black on white": draw_digit(4),
    "white on black": draw_digit(4, paper=0, pen=255),
    "in colour": draw_digit(4, paper=(250, 220, 60), pen=(120, 0, 160)),
    "pale": draw_digit(4, paper=235, pen=190),
    "grey gradient": gradient(draw_digit(4)),
    "transparent, black pen": transparent(0),
    "transparent, white pen": transparent(255),
    "palette": draw_digit(4, paper=(255, 255, 255), pen=(200, 0, 0)).quantize(8),
    "1 bit": draw_digit(4).convert("1"),
    "16 bits": SIXTEEN,
    "32 bits": SIXTEEN.convert("I"),
    "floats": Image.fromarray(np.asarray(draw_digit(4), np.float32) / 255),
    "grey with alpha": draw_digit(4).convert("LA"),
    "CMYK": draw_digit(4, paper=(255, 255, 255), pen=(0, 0, 0)).convert("CMYK"),
    "small": draw_digit(4, 44),
    "large": draw_digit(4, 2400),
    "noisy": noisy(),
    "squared paper": ruled(60),
    "squared paper, dark lines": ruled(120),
    "a sheet on a table": on_a_table(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_gives_the_same_image(kind: str) -> None:
    prepared = prepare(KINDS[kind])
    assert prepared.note == ""
    assert overlap(prepared.image, EXPECTED) > 0.93


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_every_file_format_is_read(kind: str) -> None:
    prepared = prepare(open_picture(encode(draw_digit(4), kind), "a file"))
    assert overlap(prepared.image, EXPECTED) > 0.95


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90° clockwise
    turned = draw_digit(4).transpose(Image.Transpose.ROTATE_90)
    prepared = prepare(open_picture(encode(turned, "JPEG", exif=exif), "a photograph"))
    assert overlap(prepared.image, EXPECTED) > 0.95


@pytest.mark.parametrize("digit", [1, 4, 7])
def test_digit_is_20_pixels_long_and_centred_by_mass(digit: int) -> None:
    image = prepare(draw_digit(digit)).image.astype(float)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    down, across = np.indices(image.shape)
    for places in (down, across):
        assert abs((places * image).sum() / image.sum() - 14) <= 0.6


def test_training_image_is_nearly_unchanged(sample: Path) -> None:
    for image in load(sample).train.images[:60]:
        for shown in (image, 255 - image):
            assert overlap(prepare(Image.fromarray(shown)).image, image) > 0.85


@pytest.mark.parametrize("width", [10, 18, 28])
@pytest.mark.parametrize(("paper", "pen"), [(230, 90), (0, 255)])
def test_digit_cut_to_its_ink_is_read_as_with_a_margin(width: int, paper: int, pen: int) -> None:
    for digit, lines in enumerate(DIGITS):
        picture = Image.new("L", (200, 200), paper)
        for line in lines:
            points = [(200 * x, 200 * y) for x, y in line]
            ImageDraw.Draw(picture).line(points, fill=pen, width=width, joint="curve")
        values = np.asarray(picture)
        ys, xs = np.nonzero(values != paper)
        cut = picture.crop((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
        for tight in (cut, cut.resize((50, 50))):  # some data sets stretch every digit to a square
            prepared = prepare(tight)
            expected = prepare(ImageOps.expand(tight, 12, paper)).image
            assert prepared.note == "", digit
            assert overlap(prepared.image, expected) > 0.95, digit


@pytest.mark.parametrize(("width", "radius"), [(2, 6), (3, 8), (4, 10)])
def test_straight_sides_of_a_digit_cut_to_its_ink_are_no_frame(width: int, radius: int) -> None:
    eight = Image.new("L", (50, 50), 255)
    for top, bottom in ((0, 25), (24, 49)):
        box = (0, top, 49, bottom)
        ImageDraw.Draw(eight).rounded_rectangle(box, radius, outline=0, width=width)
    prepared = prepare(eight)
    assert prepared.note == ""
    assert overlap(prepared.image, prepare(ImageOps.expand(eight, 12, 255)).image) > 0.9


@pytest.mark.parametrize("paper", [0, 255, 128])
def test_empty_picture_has_no_digit(paper: int) -> None:
    prepared = prepare(Image.new("L", (60, 40), paper))
    assert prepared.note == NO_DIGIT
    assert not prepared.image.any()


def test_noise_and_gradient_have_no_digit() -> None:
    rng = np.random.default_rng(0)
    grain = np.clip(rng.normal(200, 6, (120, 120)), 0, 255).astype(np.uint8)
    assert prepare(Image.fromarray(grain)).note == NO_DIGIT
    light = np.tile(np.linspace(90, 220, 120), (120, 1)).astype(np.uint8)
    assert prepare(Image.fromarray(light)).note == NO_DIGIT


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (2, 2), (50, 1)])
def test_smallest_pictures_are_prepared(size: tuple[int, int]) -> None:
    assert prepare(Image.new("RGBA", size)).image.shape == (28, 28)


def test_a_sheet_whose_edge_is_no_pixel_wide_is_read() -> None:
    y, x = np.mgrid[:14, :16]
    ink = np.where(np.minimum(y, 13 - y) + np.minimum(x, 15 - x) < 3, 30, 0).astype(np.uint8)
    ink[6:10, 10:14] = 200
    bands = [Image.fromarray(ink), Image.fromarray(255 - ink)]
    assert prepare(Image.merge("LA", bands)).box == (0, 0, 16, 14)


def test_speck_is_not_a_digit() -> None:
    picture = Image.new("L", (100, 80), 255)
    picture.putpixel((30, 40), 0)
    assert prepare(picture).note == NO_DIGIT


def test_two_digits_are_noted() -> None:
    picture = Image.new("L", (400, 200), 255)
    for digit, left in ((4, 40), (7, 230)):
        draw_strokes(picture, digit, (left, 40), 120)
    prepared = prepare(picture)
    assert prepared.note == SEVERAL_DIGITS
    assert prepared.image.any()


def test_photograph_is_decoded_at_reduced_size_by_its_longer_side() -> None:
    photograph = draw_digit(4).resize((4000, 3000))
    opened = open_picture(encode(photograph, "JPEG"), "photograph")
    assert opened.size == (2000, 1500)
    box = prepare(opened).box
    assert box
    assert np.allclose(box, prepare(photograph).box or (), atol=30)  # in pixels of the photograph


def test_small_digit_in_a_large_picture_is_prepared_at_full_resolution() -> None:
    picture = Image.new("L", (3000, 2000), 240)
    draw_strokes(picture, 4, (2500, 300), 120, pen=20)
    assert overlap(prepare(picture).image, EXPECTED) > 0.93


@pytest.mark.parametrize("content", [b"", b"not a picture", encode(draw_digit(4))[:90]])
def test_unreadable_file_is_reported_in_one_line(content: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.png is not a readable picture") as raised:
        open_picture(content, "x.png")
    assert "\n" not in str(raised.value)


def test_missing_file_and_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        open_picture(tmp_path / "gone.png", "gone.png")
    with pytest.raises(DataError, match="is a folder"):
        open_picture(tmp_path, "here")
    with pytest.raises(DataError, match="gone cannot be read"):
        list_pictures(tmp_path / "gone")


def test_pictures_of_a_folder_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "deep/c.webp", ".hidden.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    names = [str(path.relative_to(tmp_path)) for path in list_pictures(tmp_path)]
    assert names == ["a.JPG", "b.png", "deep/c.webp"]


@pytest.mark.parametrize("number", range(5))
def test_animated_picture_is_refused(number: int) -> None:
    content = list(moving(quick=True))[number]
    with pytest.raises(DataError, match="is animated or has several pages"):
        open_picture(content, "x")


@pytest.mark.parametrize("content", list(no_pictures()))
def test_file_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="x is not a readable picture"):
        open_picture(content, "x")


def test_truncated_file_is_read_or_refused() -> None:
    for content in one_of_each_kind():
        assert prepare(open_picture(content, "x")).image.any()
        for share in (0.02, 0.3, 0.6, 0.9):
            try:
                prepared = prepare(open_picture(content[: int(share * len(content))], "x"))
            except DataError:
                continue
            assert prepared.image.shape == (28, 28)


def test_decompression_bombs_are_refused_within_time_and_memory(tmp_path: Path) -> None:
    row = read(tmp_path, "bombs", list(islice(bombs(), 12)))
    assert not row.bad, row


def test_large_file_and_pipe_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match="x has more than 1 MB"):
        open_picture(bytes((1 << 20) + 1), "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a device or pipe, not a file"):
        open_picture(tmp_path / "pipe", "pipe")


def test_files_are_not_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapped file that another program shortens ends the process with SIGBUS."""
    Image.new("L", (40, 40), 255).save(tmp_path / "a.bmp")
    monkeypatch.setattr("mmap.mmap", None)
    assert open_picture(tmp_path / "a.bmp", "a.bmp").size == (40, 40)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(3000)


def test_heic_is_named_if_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("IMG_1.HEIC", "IMG_2.jpg"):
        (tmp_path / name).write_bytes(HEIC)
    assert [path.name for path in list_pictures(tmp_path)] == ["IMG_1.HEIC", "IMG_2.jpg"]
    sources: list[Path | bytes] = [*list_pictures(tmp_path), HEIC]
    for source in (*sources, HEIC.replace(b"ftypheic", b"ftypmif1")):
        with pytest.raises(DataError, match=r"x is a HEIC picture.*pip install .*heic"):
            open_picture(source, "x")


def test_heic_is_read_with_pillow_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[bool] = []
    fake = types.ModuleType("pillow_heif")
    monkeypatch.setattr(
        fake, "register_heif_opener", lambda: registered.append(True), raising=False
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    Image.init()
    # A plug-in that reads what follows the header as PNG.
    monkeypatch.setitem(
        Image.OPEN,
        "HEIF",
        (lambda file, name: Image.open(BytesIO(file.read()[len(HEIC) :])), lambda head: True),
    )
    picture = open_picture(HEIC + encode(draw_digit(4)), "x")
    assert registered
    assert overlap(prepare(picture).image, EXPECTED) > 0.95


def test_the_box_in_a_narrow_picture_is_exact() -> None:
    assert loading._scale_box((100, 0, 200, 1), (3, 2000), (1, 800), 0) == (0, 250, 3, 500)


@pytest.mark.parametrize("margin", [-0.4, 0.3])
@pytest.mark.parametrize("full", [(2, 4000), (4000, 2), (37, 4001)])
def test_a_crop_box_has_pixels_in_any_picture(full: tuple[int, int], margin: float) -> None:
    small = max(1, full[0] // 10), max(1, full[1] // 10)
    for box in ((0, 0, small[1], small[0]), (small[1] - 1, small[0] - 1, small[1], small[0])):
        left, top, right, bottom = loading._scale_box(box, full, small, margin)
        assert 0 <= left < right <= full[0]
        assert 0 <= top < bottom <= full[1]
