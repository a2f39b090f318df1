"""Preprocess any picture of a digit as the MNIST images were made.

LeCun, Cortes, Burges (yann.lecun.com/exdb/mnist): the digit is scaled into 20 × 20 pixels with its
aspect ratio and anti-aliasing, and placed in 28 × 28 with its centre of mass in the middle.
"""

import os
import re
import warnings
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kaggle_digits.core.errors import DataError
from kaggle_digits.core.extras import install_command
from kaggle_digits.data.digits import SIDE
from kaggle_digits.imaging.background import LUMINANCE, FloatArray, ink_mask
from kaggle_digits.imaging.lines import erase_lines
from kaggle_digits.imaging.segmentation import render_like_mnist, segment_digit
from kaggle_digits.imaging.sheets import Box, PreparedSheet, count_digits, find_parts

# Formats of cameras, scanners and drawing programs. Pillow has more; some of them start other
# programs.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP"),
    *("TIFF", "DIB", "AVIF", "JPEG2000", "ICO", "TGA"),
)
# HEIC, the format of iPhones, is read if pillow-heif is installed.
HEIC_EXTENSIONS = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
# The largest phone photographs are within the limits, because JPEG is decoded at reduced size.
MAX_BYTES, MAX_PIXELS = 256 << 20, 48 << 20
TOO_MANY_PIXELS = "{} has too many pixels; make it smaller first"
# Longest side in pixels on which the digit is searched. If it is found smaller than MIN_DIGIT, its
# surroundings are searched again at higher resolution.
SEARCH_SIDE, MIN_DIGIT = 280, 64
# The digits on a photograph are counted on this many pixels.
COUNT_SIDE = 400
# A sheet of several digits is searched on SHEET_SIDE pixels, a smaller one enlarged to the minimum.
SHEET_SIDE, MIN_SHEET_SIDE = 1600, 300
# Added to the box of a small digit, and removed from that of a sheet, as fractions of its size.
MARGIN, SHEET_EDGE = 0.35, 0.03
SPECK = 2  # a digit of this many pixels in a picture ten times as large is noise
MAX_PARTS = 3  # a digit and its surroundings have no more components of the size of a digit
NO_DIGIT, SEVERAL_DIGITS = "no digit found", "looks like more than one digit"
MAYBE_SEVERAL = "perhaps more than one digit"  # two that touch look like one wide mark


class TooManyPixelsError(DataError):
    """A picture that is too large to be decoded."""


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as input for a model.

    The image is (28, 28) uint8, 0 background to 255 ink; blank if no digit was found. The note is
    "", NO_DIGIT or SEVERAL_DIGITS. The picture after each step is (h, w) float32, 0 to 1, the
    first one (h, w, 3). The box of the digit is left, top, right, bottom in pixels of the upright
    picture. The ``sheet`` is there if it was wanted and the picture is one of several digits.
    """

    image: NDArray[np.uint8]
    note: str = ""
    steps: dict[str, FloatArray] = field(default_factory=dict)
    box: Box | None = None
    sheet: PreparedSheet | None = None


def open_picture(
    source: Path | BinaryIO | bytes, name: str, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Open a picture, the file or its bytes, and apply its EXIF orientation.

    Time and memory are unlimited; see ``imaging.reader`` for pictures of others.

    Raises:
        TooManyPixelsError: it would be decoded to more than ``max_pixels``.
        DataError: it is missing, damaged, animated, or not a picture.
    """
    # Pillow's warnings about readable files would only confuse the user.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        _check_file(source, name)
        if isinstance(source, Path):  # Pillow would map it: fatal if it is shortened meanwhile
            source = source.read_bytes()
        file = BytesIO(source) if isinstance(source, bytes) else source
        if is_heic := _is_heic(file):
            _register_heic(name)
        picture = Image.open(file, formats=("HEIF",) if is_heic else FORMATS)
        full_size = picture.size
        if picture.format in ("JPEG", "MPO"):
            if picture.info.get("progressive"):  # decoded at full size in any case
                _check_picture(picture, name, max_pixels)
            factor = SHEET_SIDE / max(full_size)  # draft keeps both sides at least as long
            width, height = (max(1, int(factor * side)) for side in full_size)
            picture.draft(None, (width, height))
        _check_picture(picture, name, max_pixels)
        picture.load()
        picture.info["full_size"] = full_size
        return ImageOps.exif_transpose(picture)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{name} is a folder") from None
    except PermissionError:
        raise DataError(f"{name} cannot be read: no permission") from None
    except Image.DecompressionBombError:
        raise TooManyPixelsError(TOO_MANY_PIXELS.format(name)) from None
    except Exception as error:  # Pillow's decoders raise many types
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "unknown format, empty or damaged"
        raise DataError(f"{name} is not a readable picture ({reason})") from error


def _is_heic(file: BinaryIO) -> bool:
    """Return whether a file begins as HEIC files do; its name may be that of a JPEG."""
    head = file.read(64)
    file.seek(0)
    # The box "ftyp" lists brands. AVIF has mif1 or msf1, too.
    is_heif = head[4:8] == b"ftyp" and re.search(rb"he[iv][cxms]|m[is]f1", head[8:])
    return bool(is_heif) and not re.search(rb"avi[fs]", head)


def _register_heic(name: str) -> None:
    try:
        from pillow_heif import register_heif_opener
    except (ImportError, OSError):  # also a library that it needs
        raise DataError(
            f"{name} is a HEIC picture, as iPhones save them, which needs pillow-heif; save it as "
            f"JPEG, or: {install_command('heic')}"
        ) from None
    register_heif_opener()


def _check_file(source: Path | BinaryIO | bytes, name: str) -> None:
    size = len(source) if isinstance(source, bytes) else 0
    if isinstance(source, Path):
        if source.exists() and not source.is_file() and not source.is_dir():
            raise DataError(f"{name} is a device or pipe, not a file; for a pipe: kd classify -")
        size = source.stat().st_size
    if size > MAX_BYTES:
        raise DataError(f"{name} has more than {MAX_BYTES >> 20} MB; make it smaller first")


def _check_picture(picture: Image.Image, name: str, max_pixels: int) -> None:
    # 32-bit pixels are converted to floats, with several copies.
    copies = 4 if picture.mode.startswith(("I", "F")) else 1
    if picture.width * picture.height * copies > max_pixels:
        raise TooManyPixelsError(TOO_MANY_PIXELS.format(name))
    # MPO is a photograph with its preview or a stereo pair; the first one is used.
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise DataError(f"{name} is animated or has several pages; save one of its pictures")


def list_pictures(folder: Path) -> list[Path]:
    """List the visible pictures in a folder and its subfolders, sorted; DataError if unreadable."""

    def fail(error: OSError) -> None:
        raise DataError(f"the folder {error.filename} cannot be read ({error.strerror})")

    formats = {*FORMATS, "MPO"}
    extensions = {ext for ext, kind in Image.registered_extensions().items() if kind in formats}
    extensions |= HEIC_EXTENSIONS  # to be read or reported, not passed over
    pictures = []
    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(parent, name) for name in files if not name.startswith(".")]
        pictures += [path for path in paths if path.suffix.lower() in extensions and path.is_file()]
    return sorted(pictures)


def prepare(picture: Image.Image) -> PreparedPicture:
    """Find the digit in a picture and render it as a training image."""
    prepared = _prepare(picture)
    if prepared.box and (full_size := picture.info.get("full_size")):  # JPEG is decoded smaller
        factor = max(full_size) / max(picture.size)
        prepared = replace(prepared, box=tuple(round(factor * each) for each in prepared.box))
    if not prepared.note and max(picture.size) > COUNT_SIDE:
        # On a photograph of a sheet, the digit that was found may be a shadow among many digits.
        luminance = _to_rgb(_shrink(picture, COUNT_SIDE)) @ LUMINANCE
        if count_digits(luminance) > MAX_PARTS:
            return replace(prepared, note=SEVERAL_DIGITS)
    return prepared


def _prepare(picture: Image.Image) -> PreparedPicture:
    small = _shrink(picture, SEARCH_SIDE)
    colours = _to_rgb(small)
    ink = ink_mask(erase_lines(colours))
    steps: dict[str, FloatArray] = {"picture": colours}
    no_digit = PreparedPicture(np.zeros((SIDE, SIDE), np.uint8), NO_DIGIT, steps)
    if ink is None or (segment := segment_digit(ink)) is None:
        return no_digit
    top, left, bottom, right = segment.box
    size = max(bottom - top, right - left)
    if size <= SPECK < max(small.size) / 10:
        return no_digit
    if segment.is_sheet:
        box = _scale_box(segment.box, picture.size, small.size, -SHEET_EDGE)
        # The edge of a very small sheet is no pixel wide.
        if box != (0, 0, *picture.size) and (sheet := _prepare(picture.crop(box))).note != NO_DIGIT:
            return replace(sheet, box=_move(sheet.box, box))
    if max(picture.size) > SEARCH_SIDE and size < MIN_DIGIT:
        box = _scale_box(segment.box, picture.size, small.size, MARGIN)
        closer = _prepare(picture.crop(box))
        if closer.note != NO_DIGIT:
            note = SEVERAL_DIGITS if segment.several else closer.note
            steps = {**closer.steps, **steps}
            return replace(closer, note=note, steps=steps, box=_move(closer.box, box))
    image, strokes = render_like_mnist(segment.ink)
    steps |= {"ink": ink, "digit": segment.ink, "strokes": strokes}
    steps["what the network sees"] = np.asarray(image / 255, np.float32)
    box = _scale_box(segment.box, picture.size, small.size, 0)
    return PreparedPicture(image, SEVERAL_DIGITS if segment.several else "", steps, box)


def _move(box: Box | None, crop: Box) -> Box | None:
    return box and tuple(side + offset for side, offset in zip(box, crop[:2] * 2, strict=True))


def prepare_sheet(picture: Image.Image) -> PreparedSheet:
    """Find what may be digits in a picture of several; ``inference.sheet_reader`` reads them."""
    from scipy import ndimage

    colours = _to_rgb(_shrink(picture, SHEET_SIDE))
    factor = -(-MIN_SHEET_SIDE // max(colours.shape))  # 2 or more if strokes may be a pixel wide
    colours = ndimage.zoom(colours, (factor, factor, 1), order=1)
    scale = max(colours.shape) / max(picture.info.get("full_size", picture.size))
    shown = np.rint(255 * colours).astype(np.uint8)
    return PreparedSheet(find_parts(colours @ LUMINANCE, scale), shown, scale)


def _shrink(picture: Image.Image, longest: int) -> Image.Image:
    """Scale a larger picture down to ``longest`` pixels of its longer side."""
    if max(picture.size) <= longest:
        return picture
    factor = longest / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    if picture.mode not in ("L", "RGB", "RGBA", "LA", "F"):
        picture = _to_8_bit(picture)
    return picture.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """Convert a picture of any mode to L, RGB or RGBA."""
    if picture.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        # The values tell whether integers have 8 or 16 bits; floats are scaled to their range.
        top = 65535.0 if high > 255 and low >= 0 and high <= 65535 else max(high - low, 1e-6)
        if picture.mode.startswith("I"):
            top = 255.0 if low >= 0 and high <= 255 else top
            low = 0.0
        return Image.fromarray(np.clip(255 * (values - low) / top, 0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _to_rgb(picture: Image.Image) -> FloatArray:
    """(h, w, 3) float32, 0 to 1; transparent pixels get a colour that contrasts with the ink."""
    picture = _to_8_bit(picture)
    mode = "RGBA" if "A" in picture.mode else "RGB"
    values: FloatArray = np.asarray(picture.convert(mode), np.float32) / np.float32(255)
    if mode == "RGB":
        return values
    colours, alpha = values[..., :3], values[..., 3]
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    if np.median(border) > 0.5:
        backdrop: FloatArray = np.median(colours[alpha > 0.5], axis=0)
    else:
        drawn = colours[alpha > 0.2]
        is_light = drawn.size > 0 and drawn.mean() > 0.5
        backdrop = np.full(3, 0 if is_light else 1, np.float32)
    return colours * alpha[..., None] + backdrop * (1 - alpha[..., None])


def _scale_box(
    box: tuple[int, int, int, int], full: tuple[int, int], small: tuple[int, int], margin: float
) -> tuple[int, int, int, int]:
    """Convert a box of the small picture to a crop box of the full one, with a relative margin.

    The crop box has at least one pixel, also if the margin is negative or the picture very narrow.
    """
    width, height = full
    factors = (height / small[1], width / small[0]) * 2  # not the same in a narrow picture
    top, left, bottom, right = (at * factor for at, factor in zip(box, factors, strict=True))
    extra = margin * max(bottom - top, right - left)
    x, y = min(max(0, round(left - extra)), width - 1), min(max(0, round(top - extra)), height - 1)
    x_end, y_end = min(round(right + extra), width), min(round(bottom + extra), height)
    return x, y, max(x_end, x + 1), max(y_end, y + 1)
