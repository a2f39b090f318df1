"""Find one digit in the ink of a picture, and render it as MNIST's images are."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kaggle_digits.data.digits import CENTRE, SIDE
from kaggle_digits.imaging.background import FloatArray

# Hysteresis threshold: pixels above INK are ink, and so are those above FAINT_INK connected to it.
INK, FAINT_INK = 0.5, 0.2
# Higher values of the second threshold, tried on ruled paper; the first one whose box keeps this
# fraction of its area at the next is taken, if it contains most of the ink above the threshold.
RAISED_THRESHOLDS, STABLE_AREA, MOST_INK = (0.35, 0.5, 0.65), 0.85, 0.7
# A frame surrounds the picture and a component of this fraction of the picture's longer side.
MIN_FRAMED = 0.2
# Components with less than this fraction of the largest one's ink, or further from it than this
# fraction of its size, are not part of the digit.
MIN_INK, MAX_GAP = 0.04, 0.35
# A component beside the largest with these fractions of its height and ink is another digit.
OTHER_HEIGHT, OTHER_INK = 0.55, 0.3
# Parts above each other are one digit if the gap is at most this fraction of the main one's size.
MAX_BREAK = 0.15
# A part that reaches into the picture from one of its edges is not the digit if another one has
# these fractions of its ink and size, nor part of the digit if it is further away than this
# fraction of its size.
MIN_INSIDE_INK, MIN_INSIDE_SIZE, MAX_RIM_GAP = 0.2, 0.4, 0.05
MAX_ASPECT = 1.6  # width by height; anything wider is two touching digits
# A sheet of paper is a component that fills this fraction of its box and of the picture, and
# contains something paler than this fraction of its own ink.
SHEET_FILL, SHEET_AREA, SHEET_CONTRAST = 0.88, 0.2, 0.75
WINDOW = 0.15  # of local contrast normalization, as a fraction of the digit's size
BOX = 20
SUPERSAMPLING = 4  # strokes are drawn at this resolution, then averaged
# Stroke width in pixels of the 20 × 20 box: the median and the 99th percentile of train.csv.
MIN_STROKE, MAX_STROKE = 2.2, 4.2
Mask = NDArray[np.bool_]
CONNECTIVITY = np.ones((3, 3), np.bool_)  # diagonal neighbours are connected


class _Parts(NamedTuple):
    """The connected parts of the ink of a picture.

    The labels are (h, w), 0 outside them. Each part has a number among the labels,
    a start and a stop (row, column), and a weight, the sum of its ink: (parts,) or (parts, 2).
    """

    labels: NDArray[np.integer]
    numbers: NDArray[np.intp]
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class DigitSegment:
    """The ink of one digit.

    The ink is (h, w) float32, 0 to 1, cropped with a margin of one pixel, without other ink. The
    box is top, left, bottom, right in the picture, without the margin. ``several``: there seems to
    be another digit beside it. ``is_sheet``: it is a sheet of paper with something on it.
    ``share`` is its part of all ink, except that of a frame.
    """

    ink: FloatArray
    box: tuple[int, int, int, int]
    several: bool
    is_sheet: bool
    share: float

    @property
    def area(self) -> int:
        """Pixels of the box."""
        top, left, bottom, right = self.box
        return (bottom - top) * (right - left)


def segment_digit(ink: FloatArray) -> DigitSegment | None:
    """Return the largest connected component of ink and what belongs to it; None without ink.

    The ink is (h, w) float32, 0 background to 1 full ink. The lines of ruled paper connect the
    digit with the edges of the picture, but are paler: the threshold is raised until the component
    no longer spans the picture.
    """
    segment = _segment(ink, FAINT_INK, INK)
    if segment is None or segment.is_sheet or not _spans(segment, ink.shape):
        return segment
    raised = [_segment(ink, faint, max(INK, faint + 0.1)) for faint in RAISED_THRESHOLDS]
    inside = [s for s in raised if s and s.share > MOST_INK and not _spans(s, ink.shape)]
    for lower, higher in pairwise(inside):
        # While the box shrinks much, remains of lines are still attached to the digit.
        if higher.area > STABLE_AREA * lower.area:
            return lower
    return inside[-1] if inside else segment


def _segment(ink: FloatArray, faint: float, strong: float) -> DigitSegment | None:
    """Return the digit among the parts above ``faint`` that contain ink above ``strong``."""
    parts = _find_parts(ink, faint, strong)
    if parts is None:
        return None
    sizes = parts.stops - parts.starts
    longer = sizes.max(axis=1)
    first, last = parts.starts <= 1, parts.stops >= np.array(ink.shape) - 1  # at the picture's edge
    is_inside: Mask = ~np.any(first | last, axis=1)
    spans: Mask = np.any(first & last, axis=1)
    # A frame surrounds a digit; a digit that was cut out surrounds only specks.
    is_frame = (first & last).all(axis=1)
    is_frame &= (is_inside & (longer >= MIN_FRAMED * max(ink.shape))).any()
    weights = np.where(is_frame, 0, parts.weights)
    main = int(weights.argmax())
    if not is_inside[main] and not spans[main]:
        # It may be a neighbour of the digit.
        is_rival = is_inside & (weights >= MIN_INSIDE_INK * weights[main])
        is_rival &= longer >= MIN_INSIDE_SIZE * longer[main]
        main = int((is_rival * weights).argmax()) if is_rival.any() else main
    ratios, main_size = weights / weights[main], longer[main]
    # Pixels between the box of a part and that of the main one; below 1 if they overlap.
    gaps_by_axis = np.maximum(parts.starts - parts.stops[main], parts.starts[main] - parts.stops)
    gaps = gaps_by_axis.max(axis=1)
    # Parts above or below the main one, such as the halves of a broken 3.
    is_stacked = (gaps_by_axis[:, 1] < 0) & (gaps <= MAX_BREAK * main_size)
    is_other_digit = (
        (gaps > 0)
        & ~is_stacked
        & (ratios >= OTHER_INK)
        & (longer >= OTHER_HEIGHT * main_size)
        & (sizes[:, 0] >= OTHER_HEIGHT * sizes[main, 0])
    )
    is_fragment = ~is_inside & is_inside[main] & (gaps > MAX_RIM_GAP * main_size)
    own = ~is_other_digit & ~is_fragment & (ratios >= MIN_INK) & (gaps <= MAX_GAP * main_size)
    own[main] = True
    cropped, mask, (top, left, bottom, right) = _cut_out(ink, parts, own)
    return DigitSegment(
        cropped,
        (top, left, bottom, right),
        bool(is_other_digit.any()) or right - left > MAX_ASPECT * (bottom - top),
        _is_sheet(mask, ink[top:bottom, left:right], ink.size),
        float(weights[own].sum() / (ink[ink > faint].sum() - parts.weights[is_frame].sum())),
    )


def _find_parts(ink: FloatArray, faint: float, strong: float) -> _Parts | None:
    """Return the connected parts above ``faint`` that contain ink above ``strong``, or None."""
    from scipy import ndimage

    labels, count = ndimage.label(ink > faint, CONNECTIVITY)
    is_strong = np.zeros(count + 1, np.bool_)
    is_strong[labels[ink > strong]] = True
    numbers = np.flatnonzero(is_strong)
    if not numbers.size:
        return None
    boxes = ndimage.find_objects(labels)
    # (parts, rows or columns, start or stop)
    ends = np.array([[(side.start, side.stop) for side in boxes[n - 1]] for n in numbers])
    weights = np.bincount(labels.ravel(), ink.ravel())[numbers].astype(np.float64)
    return _Parts(labels, numbers, ends[..., 0], ends[..., 1], weights)


def _cut_out(
    ink: FloatArray, parts: _Parts, own: Mask
) -> tuple[FloatArray, Mask, tuple[int, int, int, int]]:
    """Cut some of the parts out of a picture, without other ink.

    ``own`` is (parts,). Returns the ink with a margin of one pixel, evenly dark; the pixels of
    the parts in their box; the box as in ``DigitSegment``.
    """
    from scipy import ndimage

    top, left = parts.starts[own].min(axis=0).tolist()
    bottom, right = parts.stops[own].max(axis=0).tolist()
    is_own = np.zeros(parts.labels.max() + 1, np.bool_)
    is_own[parts.numbers[own]] = True
    labels = np.pad(parts.labels[top:bottom, left:right], 1)
    mask = is_own[labels]
    # The soft edge of a stroke is below the threshold but belongs to it.
    soft = mask | (ndimage.maximum_filter(mask, 3) & (labels == 0))
    margin = np.pad(ink, 1)[top : bottom + 2, left : right + 2]
    ink = even_ink(np.where(soft, margin, 0), FAINT_INK)
    return ink, mask[1:-1, 1:-1], (top, left, bottom, right)


def even_ink(ink: FloatArray, faint: float) -> FloatArray:
    """Make pale stretches of a stroke, as of a pencil, as dark as the rest.

    Ink is compared with the most of it nearby, at least ``faint``.
    """
    from scipy import ndimage

    window = max(3, round(WINDOW * max(ink.shape)))
    local_maximum = ndimage.uniform_filter(ndimage.maximum_filter(ink, window), window)
    return np.minimum(ink / np.maximum(local_maximum, faint), 1)


def render_like_mnist(ink: FloatArray) -> tuple[NDArray[np.uint8], FloatArray]:
    """Return the digit as a 28 × 28 training image, and its strokes at high resolution.

    Strokes thinner or thicker than those of the training images get the nearest width that
    occurs there: the pixels within half that width of the stroke's centre line. The ink (h, w),
    0 to 1, needs a margin of at least one pixel.
    """
    from scipy.ndimage import distance_transform_edt

    fine = np.pad(_resize(ink, BOX * SUPERSAMPLING), 2 * SUPERSAMPLING)
    inside = fine > INK
    # Distance from the edge of the stroke, positive inside it.
    inner, outer = distance_transform_edt(inside), distance_transform_edt(~inside)
    depth = np.where(inside, inner - 0.5, 0.5 - outer).astype(np.float32)
    # The mean depth of a line of width w is w / 4.
    width = 4 * float(depth[inside].mean()) / SUPERSAMPLING if inside.any() else MIN_STROKE
    wanted = min(max(width, MIN_STROKE), MAX_STROKE)
    grown = depth + SUPERSAMPLING * (wanted - width) / 2
    strokes = np.clip(grown / SUPERSAMPLING + 0.5, 0, 1).astype(np.float32)
    if not (strokes > INK).any():
        strokes = fine
    rows, columns = (np.flatnonzero((strokes > 0.1).any(axis=axis)) for axis in (1, 0))
    strokes = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return center_by_mass(_resize(strokes, BOX)), strokes


def center_by_mass(image: FloatArray) -> NDArray[np.uint8]:
    """Place an image in 28 × 28 by its centre of mass, to whole pixels: (h, w) float32 → uint8."""
    positions = np.arange(max(image.shape))
    total = float(image.sum()) or 1.0
    starts = []
    for axis, length in enumerate(image.shape):
        centre = float((image.sum(axis=1 - axis) * positions[:length]).sum()) / total
        starts.append(int(np.clip(round(CENTRE + 0.5 - centre), 0, SIDE - length)))
    centred = np.zeros((SIDE, SIDE), np.float32)
    top, left = starts
    centred[top : top + image.shape[0], left : left + image.shape[1]] = image
    return np.rint(255 * np.clip(centred, 0, 1)).astype(np.uint8)


def _resize(values: FloatArray, longest: int) -> FloatArray:
    """Scale the longer side to ``longest`` pixels, keeping the aspect ratio, with anti-aliasing."""
    height, width = values.shape
    factor = longest / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    resampling = Image.Resampling.BOX if factor < 0.5 else Image.Resampling.BICUBIC
    resized = Image.fromarray(values.astype(np.float32)).resize(size, resampling)
    return np.clip(np.asarray(resized, np.float32), 0, 1)


def _spans(segment: DigitSegment, shape: tuple[int, ...]) -> bool:
    """Whether the box reaches from edge to edge of the picture."""
    top, left, bottom, right = segment.box
    return (top <= 1 and bottom >= shape[0] - 1) or (left <= 1 and right >= shape[1] - 1)


def _is_sheet(mask: Mask, ink: FloatArray, pixels: int) -> bool:
    """Whether a part is a filled rectangle with something paler on it."""
    from scipy import ndimage

    if mask.size < SHEET_AREA * pixels:
        return False
    outside, _ = ndimage.label(~np.pad(mask, 1))
    filled = outside[1:-1, 1:-1] != outside[0, 0]
    if filled.mean() <= SHEET_FILL:
        return False
    inside = ink[ndimage.minimum_filter(filled, 7, mode="constant")]
    return bool(inside.size and inside.min() < SHEET_CONTRAST * np.median(inside))
