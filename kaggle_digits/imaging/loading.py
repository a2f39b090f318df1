"""Any picture of a digit → 28 × 28 grey pixels as MNIST's were made.

LeCun, Cortes, Burges (yann.lecun.com/exdb/mnist): the digit, its proportions kept, is brought into
20 × 20 pixels with anti-aliasing and placed in 28 × 28 with its centre of mass in the middle.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.digits import SIDE
from kaggle_digits.imaging.background import FloatArray, ink_mask
from kaggle_digits.imaging.segmentation import render_like_mnist, segment_digit

if TYPE_CHECKING:
    from PIL.Image import Image

# What cameras, scanners and drawing programs write, the first five imported by Pillow beforehand.
# It knows more, some of it by other programs.
KINDS = (
    *("PNG", "JPEG", "GIF", "BMP", "PPM"),
    *("WEBP", "TIFF", "DIB", "AVIF", "JPEG2000", "ICO", "TGA"),
)
SEVERAL_IN_ONE = {"MPO"}  # a photograph with its preview, or two eyes' views: the first is meant
# A photograph of the largest phones as JPEG, which is read at a fraction of its size, fits.
MAX_BYTES, MAX_PIXELS = 256 << 20, 48 << 20
# Longest side, in pixels, on which a digit is looked for; found small, it is looked at again.
LOOKED_AT, ENOUGH = 400, 90
# Round the digit that is looked at again; off the edge of a sheet that is cut out.
MARGIN, CARD_EDGE = 0.35, 0.03
SPECK = 2  # pixels: a grain on a picture that is many times larger
NO_DIGIT, SEVERAL_DIGITS = "no digit found", "looks like more than one digit"


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as the network sees it.

    Attributes:
        image: (28, 28) uint8, 0 background to 255 ink; blank where no digit was found.
        note: "", NO_DIGIT or SEVERAL_DIGITS.
        steps: name → (h, w) float32, 0 to 1: the picture after each step.
    """

    image: NDArray[np.uint8]
    note: str = ""
    steps: dict[str, FloatArray] = field(default_factory=dict)


def open_picture(source: Path | BinaryIO | bytes, name: str) -> Image:
    """Read a picture file of any kind that Pillow opens, turned as its EXIF data say.

    Args:
        source: a path, an open binary file or the file's bytes.
        name: what messages call it.

    Raises:
        DataError: it is missing, damaged, too large, several in one, or no picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    # What is odd about a picture that can be read all the same is nobody's news.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        _refuse_odd(source, name)
        file = BytesIO(source) if isinstance(source, bytes) else source
        picture = Image.open(file, formats=KINDS)
        if picture.format in ("JPEG", "MPO"):  # decoded at a fraction of its size, if that will do
            if picture.info.get("progressive"):  # its decoder holds all of it at once
                _refuse_many(picture, name)
            picture.draft(None, (4 * LOOKED_AT, 4 * LOOKED_AT))
        _refuse_many(picture, name)
        picture.load()
        return ImageOps.exif_transpose(picture)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except PermissionError:
        raise DataError(f"{name} cannot be read: no permission") from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(name) from None
    except IsADirectoryError:
        raise DataError(f"{name} is a folder") from None
    except UnidentifiedImageError:
        known = "of no known kind, empty or damaged"
        raise DataError(f"{name} is no picture that can be read ({known})") from None
    except Exception as error:
        # Pillow's decoders raise what they like; unreadable is all that matters here.
        raise DataError(f"{name} is no picture that can be read ({_first_line(error)})") from error


def _refuse_odd(source: Path | BinaryIO | bytes, name: str) -> None:
    if isinstance(source, Path):
        if source.exists() and not source.is_file() and not source.is_dir():
            raise DataError(f"{name} is no file but a device or pipe; kd classify - reads a pipe")
        size = source.stat().st_size
    else:
        size = len(source) if isinstance(source, bytes) else 0
    if size > MAX_BYTES:
        raise DataError(f"{name} has more than {MAX_BYTES >> 20} MB; make it smaller first")


def _refuse_many(picture: Image, name: str) -> None:
    """Refuse more pixels than memory is given to, and pictures after the first."""
    # Wide numbers are worked on as floats, in several copies.
    copies = 4 if picture.mode.startswith(("I", "F")) else 1
    if picture.width * picture.height * copies > MAX_PIXELS:
        raise _too_many_pixels(name)
    if picture.format not in SEVERAL_IN_ONE and getattr(picture, "is_animated", False):
        raise DataError(f"{name} moves or has several pages; save one picture of it")


def _too_many_pixels(name: str) -> DataError:
    return DataError(f"{name} has too many pixels; make it smaller first")


def list_pictures(folder: Path) -> list[Path]:
    """The picture files in a folder and the folders in it, by name; hidden ones are left out.

    Raises:
        DataError: a folder may not be read.
    """
    from PIL import Image

    def refuse(error: OSError) -> None:
        raise DataError(f"the folder {error.filename} cannot be read ({error.strerror})")

    known, found = Image.registered_extensions(), []
    kinds = {suffix for suffix, kind in known.items() if kind in {*KINDS, *SEVERAL_IN_ONE}}
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in files if not name.startswith(".")]
        found += [path for path in paths if path.suffix.lower() in kinds and path.is_file()]
    return sorted(found)


def prepare(picture: Image) -> PreparedPicture:
    """Find the digit, whatever its ink, paper, size and place, and set it as MNIST's are set."""
    small = picture.copy() if max(picture.size) <= LOOKED_AT else _smaller(picture)
    colours = _colours(small)
    found = ink_mask(colours)
    steps = {"picture": colours.mean(axis=2)}
    strokes = None if found is None else segment_digit(found)
    if found is None or strokes is None or _is_speck(strokes.box, small.size):
        return PreparedPicture(np.zeros((SIDE, SIDE), np.uint8), NO_DIGIT, steps)
    if strokes.is_card:
        on_it = prepare(picture.crop(_box(strokes.box, picture.size, small.size, -CARD_EDGE)))
        if on_it.note != NO_DIGIT:
            return on_it
    top, left, bottom, right = strokes.box
    if max(picture.size) > LOOKED_AT and max(bottom - top, right - left) < ENOUGH:
        closer = prepare(picture.crop(_box(strokes.box, picture.size, small.size, MARGIN)))
        if closer.note != NO_DIGIT:
            note = SEVERAL_DIGITS if strokes.several else closer.note
            return replace(closer, note=note, steps={**steps, **_rest(closer.steps)})
    steps |= {"ink": found, "digit": strokes.ink}
    image, drawn = render_like_mnist(strokes.ink)
    steps |= {"strokes": drawn, "what the network sees": image.astype(np.float32) / 255}
    return PreparedPicture(image, SEVERAL_DIGITS if strokes.several else "", steps)


def _is_speck(box: tuple[int, int, int, int], size: tuple[int, int]) -> bool:
    top, left, bottom, right = box
    return max(bottom - top, right - left) <= SPECK < max(size) / 10


def _rest(steps: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: step for name, step in steps.items() if name != "picture"}


def _smaller(picture: Image) -> Image:
    from PIL import Image

    factor = LOOKED_AT / max(picture.size)
    size = tuple(max(1, round(side * factor)) for side in picture.size)
    if picture.mode not in ("L", "RGB", "RGBA", "LA", "F"):
        picture = _plain(picture)
    return picture.resize((size[0], size[1]), Image.Resampling.BOX, reducing_gap=2.0)


def _plain(picture: Image) -> Image:
    """One of L, RGB, RGBA, whatever the mode was."""
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        # A file of floats may hold what is no number.
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        # 16 bits are told from 8 by what stands in them; floats by their own range.
        top = 65535.0 if high > 255 and low >= 0 and high <= 65535 else max(high - low, 1e-6)
        if picture.mode.startswith("I") and low >= 0 and high <= 255:
            top = 255.0
        low = 0.0 if picture.mode.startswith("I") else low
        return Image.fromarray(np.clip(255 * (values - low) / top, 0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _colours(picture: Image) -> FloatArray:
    """(h, w, 3) float32, 0 to 1; what is transparent gets a colour unlike the ink's."""
    picture = _plain(picture)
    values: FloatArray = np.asarray(
        picture.convert("RGBA" if "A" in picture.mode else "RGB"), np.float32
    ) / np.float32(255)
    if values.shape[2] == 3:
        return values
    colours, cover = values[..., :3], values[..., 3:]
    edge = np.concatenate([cover[0], cover[-1], cover[:, 0], cover[:, -1]])
    if np.median(edge) > 0.5:
        backdrop: Any = np.median(colours[cover[..., 0] > 0.5], axis=0)
    else:
        drawn = cover[..., 0] > 0.2
        light = colours[drawn].mean() if drawn.any() else 0.0
        backdrop = 0.0 if light > 0.5 else 1.0
    shown: FloatArray = colours * cover + np.float32(backdrop) * (1 - cover)
    return shown


def _box(
    box: tuple[int, int, int, int], whole: tuple[int, int], small: tuple[int, int], margin: float
) -> tuple[int, int, int, int]:
    """A box of the small picture in the whole one, wider by a share of its longer side."""
    factor = whole[0] / small[0]
    top, left, bottom, right = (factor * place for place in box)
    more = margin * max(bottom - top, right - left)
    return (
        max(0, round(left - more)),
        max(0, round(top - more)),
        min(whole[0], round(right + more)),
        min(whole[1], round(bottom + more)),
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__
