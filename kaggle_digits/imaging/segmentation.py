"""The strokes of one digit: found among all ink, and drawn again as the training images are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CENTRE, SIDE
from kaggle_digits.imaging.background import FloatArray

# Ink surer than the first is a stroke, and what is surer than the second and touches it.
SURE, LIKELY = 0.5, 0.2
HIGHER, STEADY = (0.35, 0.5, 0.65), 0.85
# A part is dropped below this share of the largest one's ink, or further away than this share of
# its size; as tall and heavy as that, and beside it, it is another digit.
SPECK, NEAR = 0.04, 0.35
TALL, HEAVY = 0.55, 0.3
WIDEST = 1.6  # width by height; more is two digits that touch
# A sheet of paper on a table: a filled rectangle of this share of its box and of the picture.
FILLED, LARGE = 0.88, 0.2
DRAWN_ON = 0.75  # and something on it that is paler than that share of its own ink
REACH = 0.15  # how far, by a digit's size, its darkest ink sets what dark is
BOX = 20
FINE = 4  # strokes are drawn this many times finer, then averaged
# Width of a stroke in the 20 × 20 box: the median and the 99th percentile of train.csv.
THINNEST, THICKEST = 2.2, 4.2
# Corners touch.
TOUCHING = np.ones((3, 3), np.bool_)
# Rows and columns of a part.
Box = tuple[slice, slice]


@dataclass(frozen=True)
class DigitSegment:
    """One digit's ink.

    Attributes:
        ink: (h, w) float32, 0 to 1: cut out with a margin of one pixel, all other ink removed.
        box: top, left, bottom, right in the picture, without the margin.
        several: whether there seems to be another digit beside it.
        is_card: whether it is rather a sheet of paper, with the digit on it.
    """

    ink: FloatArray
    box: tuple[int, int, int, int]
    several: bool
    is_card: bool


def segment_digit(ink: FloatArray) -> DigitSegment | None:
    """The digit among all ink of a picture: its largest part and what belongs to it.

    Ruled paper's lines run through the digit from edge to edge; they are paler than it, so what
    counts as ink is raised until the largest part no longer reaches across the picture.

    Args:
        ink: (h, w) float32, 0 paper to 1 full ink.
    """
    found = _found(ink, LIKELY, SURE)
    if found is None or found.is_card or not _reaches_across(found.box, ink.shape):
        return found
    higher = [_found(ink, likely, max(SURE, likely + 0.1)) for likely in HIGHER]
    within = [s for s in higher if s is not None and not _reaches_across(s.box, ink.shape)]
    for strokes, next_higher in pairwise(within):
        # Stubs of lines still hang on a digit that shrinks when more is asked of ink.
        if _area(next_higher.box) > STEADY * _area(strokes.box):
            return strokes
    return within[-1] if within else found


def _found(ink: FloatArray, likely: float, sure: float) -> DigitSegment | None:
    """The digit where ink surer than ``sure``, and what is likely ink and touches it, counts."""
    from scipy import ndimage

    parts, _ = ndimage.label(ink > likely, TOUCHING)
    known = np.unique(parts[ink > sure])
    known = known[known > 0]
    if not len(known):
        return None
    boxes = {part: (b[0], b[1]) for part, b in enumerate(ndimage.find_objects(parts), 1)}
    weights = dict(zip(known.tolist(), ndimage.sum_labels(ink, parts, known).tolist(), strict=True))
    inside = [part for part in weights if not _is_frame(boxes[part], ink.shape)]
    main = max(inside or weights, key=lambda part: weights[part])
    own, several = [main], False
    for part, weight in weights.items():
        if part == main or part not in inside or weight < SPECK * weights[main]:
            continue
        if _is_another(boxes[part], boxes[main], weight / weights[main]):
            several = True
        elif _gap(boxes[part], boxes[main]) <= NEAR * _size(boxes[main]):
            own.append(part)
    rows = slice(min(boxes[p][0].start for p in own), max(boxes[p][0].stop for p in own))
    columns = slice(min(boxes[p][1].start for p in own), max(boxes[p][1].stop for p in own))
    mine = np.isin(parts, own)
    # The soft edge of a stroke is below the threshold and belongs to it all the same.
    soft = ndimage.binary_dilation(mine, TOUCHING) & ((parts == 0) | mine)
    cut = np.pad(np.where(soft, ink, 0), 1)[
        rows.start : rows.stop + 2, columns.start : columns.stop + 2
    ]
    height, width = rows.stop - rows.start, columns.stop - columns.start
    return DigitSegment(
        _evened(cut),
        (rows.start, columns.start, rows.stop, columns.stop),
        several or width > WIDEST * height,
        _is_card(mine[rows, columns], ink[rows, columns], ink.size),
    )


def render_like_mnist(ink: FloatArray) -> tuple[NDArray[np.uint8], FloatArray]:
    """The digit in 28 × 28 as the training images are, and its strokes drawn fine.

    Strokes thinner or thicker than training images have are drawn to the nearest width they
    have: what lies within so far of the middle of a stroke.

    Args:
        ink: (h, w) float32, 0 to 1, with a margin of at least a pixel.
    """
    fine = _resized(ink, BOX * FINE)
    fine = np.pad(fine, 2 * FINE)
    depth = _depth(fine > SURE)
    inside = depth > 0
    # The mean depth of a line of width w is w / 4.
    width = 4 * float(depth[inside].mean()) / FINE if inside.any() else THINNEST
    wanted = min(max(width, THINNEST), THICKEST)
    drawn = np.clip((depth + FINE * (wanted - width) / 2) / FINE + 0.5, 0, 1).astype(np.float32)
    if not (drawn > SURE).any():
        drawn = fine
    rows, columns = (np.flatnonzero((drawn > 0.1).any(axis=axis)) for axis in (1, 0))
    drawn = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = _resized(drawn, BOX)
    return center_by_mass(small), drawn


def _evened(ink: FloatArray) -> FloatArray:
    """Pale stretches of a stroke, such as of a pencil, as dark as the rest of it."""
    from scipy import ndimage

    reach = max(3, round(REACH * max(ink.shape)))
    around = ndimage.uniform_filter(ndimage.maximum_filter(ink, reach), reach)
    return np.clip(ink / np.maximum(around, LIKELY), 0, 1)


def center_by_mass(small: FloatArray) -> NDArray[np.uint8]:
    """In the middle of 28 × 28 by its centre of mass, moved by whole pixels."""
    places = np.arange(max(small.shape))
    total = float(small.sum()) or 1.0
    starts = []
    for axis, length in enumerate(small.shape):
        middle = float((small.sum(axis=1 - axis) * places[:length]).sum()) / total
        starts.append(int(np.clip(round(CENTRE + 0.5 - middle), 0, SIDE - length)))
    image = np.zeros((SIDE, SIDE), np.float32)
    top, left = starts
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _resized(values: FloatArray, longest: int) -> FloatArray:
    """The proportions kept, anti-aliased."""
    from PIL import Image

    height, width = values.shape
    factor = longest / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    filtered = Image.Resampling.BOX if factor < 0.5 else Image.Resampling.BICUBIC
    resized = Image.fromarray(values.astype(np.float32)).resize(size, filtered)
    return np.clip(np.asarray(resized, np.float32), 0, 1)


def _depth(inside: NDArray[np.bool_]) -> FloatArray:
    """How far each pixel is from the edge: above 0 inside, below 0 outside."""
    from scipy.ndimage import distance_transform_edt

    within, without = distance_transform_edt(inside), distance_transform_edt(~inside)
    return np.asarray(np.where(inside, within - 0.5, 0.5 - without), np.float32)


def _size(box: Box) -> int:
    return max(int(side.stop - side.start) for side in box)


def _gap(box: Box, other: Box) -> int:
    """Pixels between two boxes, 0 where they overlap."""
    pairs = zip(box, other, strict=True)
    return max(max(int(b.start - a.stop), int(a.start - b.stop), 0) for a, b in pairs)


def _is_another(box: Box, main: Box, share: float) -> bool:
    """Whether a part is a digit of its own: tall and heavy as the main one, and beside it."""
    if _gap(box, main) <= 0 or share < HEAVY:
        return False
    return _size(box) >= TALL * _size(main) and box[0].stop - box[0].start >= TALL * (
        main[0].stop - main[0].start
    )


def _is_frame(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a part reaches round the picture: a border, not a digit."""
    return all(
        side.start <= 1 and side.stop >= length - 1 for side, length in zip(box, shape, strict=True)
    )


def _reaches_across(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    top, left, bottom, right = box
    return (top <= 1 and bottom >= shape[0] - 1) or (left <= 1 and right >= shape[1] - 1)


def _area(box: tuple[int, int, int, int]) -> int:
    top, left, bottom, right = box
    return (bottom - top) * (right - left)


def _is_card(mine: NDArray[np.bool_], ink: FloatArray, pixels: int) -> bool:
    """Whether a part is a filled rectangle with something on it."""
    from scipy import ndimage

    if mine.size < LARGE * pixels:
        return False
    filled = ndimage.binary_fill_holes(mine)
    inside = ndimage.binary_erosion(filled, TOUCHING, 3)
    if filled.mean() <= FILLED or not inside.any():
        return False
    return bool(ink[inside].min() < DRAWN_ON * np.median(ink[inside]))
