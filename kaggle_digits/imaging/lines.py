"""Erase the straight lines round a digit: cells of squared paper, form boxes, ruled lines."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.imaging.background import LUMINANCE, FloatArray, block_means, fill_strokes

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

# Lines are searched on a picture reduced to at most this many pixels per side. With fewer than the
# minimum, lines cannot be told from strokes.
SEARCH_PIXELS, MIN_PIXELS = 96, 12
# Minimum contrast of a line: absolute, in standard deviations of the noise, and as a fraction of
# the largest contrast.
MIN_CONTRAST, MIN_SIGMAS, MIN_SHARE = 0.04, 4.0, 0.2
# A line lies in the outer third of the picture, rises by at most MAX_SLOPE pixels per pixel, covers
# MIN_COVERAGE of the side, and is at most MAX_THICKNESS of it thick.
ZONE, MAX_SLOPE, MIN_COVERAGE, MAX_THICKNESS = 1 / 3, 0.1, 0.7, 0.1
# A line's edge is where its coverage falls to EDGE of that in its middle.
EDGE = 0.6
# It ends at another line or at most MAX_END before the picture's edge, and has no longer gap than
# MAX_GAP. At least MIN_INSIDE of it lies within the picture. Fractions of the side.
MAX_END, MAX_GAP, MIN_INSIDE = 0.03, 0.08, 0.45
# The digit between the lines has at least this size. A line that it touches extends beyond it on
# both sides, unlike a stroke: far if it touches all lines. Fractions of the side.
MIN_DIGIT, OVERHANG, FAR_OVERHANG = 0.2, 0.06, 0.15
# A digit that was cut out covers at least this fraction of each edge; thin lines cross it.
MIN_AT_EDGE = 0.2
# A pixel belongs to a line if it has this fraction of its contrast. Where the digit touches it, the
# line is this many times as thick as elsewhere.
SOFT_EDGE, TOUCHED = 0.25, 1.5
TYPICAL = 0.3  # quantile of a line's columns that stands for all of them
DARKER = 1.5  # a pixel with this many times the contrast of the line is ink of the digit


class Line(NamedTuple):
    """A straight line across the picture.

    Its rows are ``start`` to ``stop`` in the middle column, and increase by ``rise`` from the first
    to the last column; in pixels. If it is ``upright``, rows and columns are exchanged.
    """

    upright: bool
    start: int
    stop: int
    rise: int

    def mask(self, shape: tuple[int, ...], margin: int) -> Mask:
        """Return the line's pixels in a picture of ``shape`` (h, w), and ``margin`` more rows."""
        height, width = shape[::-1] if self.upright else shape
        rows = np.arange(height)[:, None] - np.rint(self.rise * _positions(width))
        mask = (rows >= self.start - margin) & (rows < self.stop + margin)
        return mask.T if self.upright else mask


def erase_lines(colours: FloatArray) -> FloatArray:
    """Replace straight lines near the rim of a picture by the colours on both sides of them.

    A stroke that crosses a line is kept. Takes and returns (h, w, 3) float32, 0 to 1.
    """
    size = -(-max(colours.shape[:2]) // SEARCH_PIXELS)
    if min(colours.shape[:2]) < MIN_PIXELS * size:
        return colours
    grey = colours @ LUMINANCE
    small = block_means(grey, size)
    paper = fill_strokes(small)
    contrast = np.abs(paper - small)
    # Standard deviation of normal noise from the differences of neighbours.
    noise = 1.05 * float(np.median(np.abs(np.diff(contrast, axis=1))))
    top = float(np.sort(contrast, axis=None)[-10:].mean())
    mask = contrast > max(MIN_CONTRAST, MIN_SIGMAS * noise, MIN_SHARE * top)
    lines = _find_lines(mask, upright=False) + _find_lines(mask.T, upright=True)
    lines = _without_strokes(lines, mask)
    if not lines:
        return colours
    paper = paper.repeat(size, axis=0).repeat(size, axis=1)[: len(grey), : grey.shape[1]]
    contrast = np.abs(paper - grey)
    colours = colours.copy()
    for line in lines:
        if line.upright:
            _erase(colours.transpose(1, 0, 2), contrast.T, line, size)
        else:
            _erase(colours, contrast, line, size)
    return colours


def _positions(length: int) -> FloatArray:
    """Return −½ to ½ from the first to the last of ``length`` pixels."""
    return np.linspace(-0.5, 0.5, length, dtype=np.float32)


def _find_lines(mask: Mask, *, upright: bool) -> list[Line]:
    """Return the lines of a mask (h, w) from its left to its right edge, or nearly."""
    height, width = mask.shape
    zone = round(height * ZONE) + 1
    possible = max(mask[:zone].any(axis=0).mean(), mask[-zone:].any(axis=0).mean())
    if possible < MIN_COVERAGE * MIN_INSIDE:
        return []
    limit = round(MAX_SLOPE * width)
    rises = np.arange(-limit, limit + 1)
    # 16 bits suffice for every index below, and take a third of the time.
    rows = np.arange(-limit // 2, height + limit // 2 + 1, dtype=np.int16)
    rows = rows[np.abs(2 * rows + 1 - height) >= height * (1 - 2 * ZONE)]
    shifts = np.rint(rises[:, None] * _positions(width)).astype(np.int16)
    paths = rows[:, None] + shifts[:, None]  # (rises, rows, columns)
    # Lines are one pixel wide at least, and drawn or photographed not quite straight.
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    padded = np.pad(wide, ((limit + 1, limit + 1), (0, 0)))
    hits = padded.ravel().take((paths + limit + 1) * width + np.arange(width, dtype=np.int16))
    inside = ((paths >= 0) & (paths < height)).mean(axis=2)
    coverage = hits.mean(axis=2) / np.maximum(inside, MIN_INSIDE)
    # Among equal lines, the flattest.
    quality = coverage - 1e-3 * np.abs(rises)[:, None] / max(limit, 1)
    found: list[Line] = []
    while quality.max() >= MIN_COVERAGE:
        best, peak = np.unravel_index(int(quality.argmax()), quality.shape)
        outside = coverage[best] < EDGE * coverage[best, peak]
        outside[1:] |= np.diff(rows) > 1  # the middle of the picture is left out
        start = peak - int(np.append(outside[: peak + 1][::-1], True).argmax()) + 1
        stop = peak + int(np.append(outside[peak:], True).argmax())
        is_thin = stop - start <= MAX_THICKNESS * max(mask.shape) + 1
        gaps = np.diff(np.flatnonzero(hits[best, peak]))
        if is_thin and gaps.max(initial=1) <= 1 + MAX_GAP * width:
            found.append(Line(upright, int(rows[start]), int(rows[stop - 1]) + 1, int(rises[best])))
            quality[:, max(0, start - 2) : stop + 2] = 0
        else:
            quality[max(0, best - 1) : best + 2, max(0, peak - 1) : peak + 2] = 0
    return found


def _without_strokes(lines: list[Line], mask: Mask) -> list[Line]:
    """Drop lines that are strokes of the digit; ``mask`` shows what stands out from the paper."""
    from scipy import ndimage

    lines = [line for line in lines if _reaches_ends(line, lines, mask)]
    if not lines or _is_cut_out(mask):
        return []
    bands = [line.mask(mask.shape, 1) for line in lines]
    parts, count = ndimage.label(mask & ~np.any(bands, axis=0), np.ones((3, 3)))
    digit = parts == 1 + np.bincount(parts.ravel(), minlength=2)[1:].argmax()
    if not count or max(map(len, _extents(digit))) < MIN_DIGIT * max(mask.shape):
        return []
    near = ndimage.binary_dilation(digit, iterations=2)
    touches = [bool((near & band).any()) for band in bands]
    if touches == [True]:  # it may be a stroke
        return []
    needed = FAR_OVERHANG if all(touches) else OVERHANG
    kept = []
    for line, band, touched in zip(lines, bands, touches, strict=True):
        along = 0 if line.upright else 1
        own, stroke = _extents(mask & band)[along], _extents(digit)[along]
        overhang = min(stroke[0] - own[0], own[-1] - stroke[-1])
        if not touched or overhang >= needed * mask.shape[along]:
            kept.append(line)
    return kept


def _is_cut_out(mask: Mask) -> bool:
    """Whether the ink is one part that fills the picture up to its edges, but not its corners."""
    from scipy import ndimage

    rim = max(2, round(MAX_END * max(mask.shape)))
    sides = [side for m in (mask, mask.T) for side in (m[:rim], m[-rim:])]
    edges = [np.asarray(side.any(axis=0)) for side in sides]
    is_round = not any(edge[:rim].any() or edge[-rim:].any() for edge in edges)
    fills = min(edge.mean() for edge in edges) >= MIN_AT_EDGE
    return is_round and fills and ndimage.label(mask, np.ones((3, 3)))[1] == 1


def _reaches_ends(line: Line, lines: list[Line], mask: Mask) -> bool:
    """Whether a line ends at the edges of the picture or at other lines."""
    along = 0 if line.upright else 1
    side = mask.shape[along]
    reach = max(2, round(MAX_END * side))
    band = mask & line.mask(mask.shape, 1)
    crossing = [other.mask(mask.shape, reach) for other in lines if other.upright != line.upright]
    is_end = np.zeros(side, np.bool_)
    is_end[:reach] = is_end[-reach:] = True
    row = (line.start + line.stop - 1) / 2 + line.rise * _positions(side)
    outside = np.flatnonzero((row < 0) | (row > mask.shape[1 - along] - 1))
    is_end[np.clip(outside[:, None] + np.arange(-reach, reach + 1), 0, side - 1)] = True
    if crossing:
        is_end[_extents(band & np.any(crossing, axis=0))[along]] = True
    own = _extents(band)[along]
    return bool(own.size and is_end[own[0]] and is_end[own[-1]])


def _extents(mask: Mask) -> tuple[Indices, Indices]:
    """Return the rows and the columns in which a mask has pixels."""
    return np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))


class _Track(NamedTuple):
    """A line as it runs through the pixels of a picture (h, w).

    Attributes:
        centre: (w,) its row in each column.
        thickness: in pixels, where the digit does not touch it.
        contrast: of a typical column.
    """

    centre: FloatArray
    thickness: int
    contrast: float


def _erase(colours: FloatArray, contrast: FloatArray, line: Line, size: int) -> None:
    """Interpolate across a line that was found in blocks of ``size`` pixels, in place.

    Where one side is ink of the digit, the paper of the other side goes on. Where both are, a
    stroke crosses the line and is kept.
    """
    track = _follow(contrast, line, size, (line.stop - line.start + 2) * size)
    if track is None:
        return
    height, width = contrast.shape
    middle, half = np.rint(track.centre).astype(np.intp), (track.thickness + 1) // 2 + 1
    start, stop = middle - half, middle + half + 1
    rows, columns = np.stack([start - 1, stop]), np.arange(width)  # on both sides of the line
    clipped = np.clip(rows, 0, height - 1)
    sides = colours[clipped, columns]  # (2, width, 3)
    is_ink = contrast[clipped, columns] > SOFT_EDGE * track.contrast
    is_paper = (rows == clipped) & ~is_ink
    if not is_paper.any():
        return
    paper = np.median(sides[is_paper], axis=0)
    other_side = np.where(is_paper[::-1, :, None], sides[::-1], paper)
    sides = np.where((is_paper | is_ink.all(axis=0))[..., None], sides, other_side)
    rows = np.arange(height)[:, None]
    erased = (rows >= start) & (rows < stop) & (contrast < DARKER * track.contrast)
    share = ((rows + 1 - start) / (stop + 1 - start))[..., None].astype(np.float32)
    filled = sides[0] + share * (sides[1] - sides[0])
    colours[:] = np.where(erased[..., None], filled, colours)


def _follow(contrast: FloatArray, line: Line, size: int, reach: int) -> _Track | None:
    """Fit a straight line to the ink within ``reach`` pixels of ``line``; None without ink."""
    positions = _positions(contrast.shape[1])
    centre = (line.start + line.stop) / 2 * size - 0.5 + size * line.rise * positions
    # In few columns, the digit touches the line, so the middle of the ink is not that of the line.
    typical = int(TYPICAL * len(positions))
    line_contrast = float(np.sort(_across(contrast, centre, reach).max(axis=0))[typical])
    thickness = 0
    for _ in range(2):
        ink = _across(contrast, centre, reach) > SOFT_EDGE * line_contrast
        counts = ink.sum(axis=0)
        thickness = int(np.sort(counts)[typical])
        alone = (counts > 0) & (counts <= TOUCHED * thickness + 1)
        if not alone.any():
            return None
        offsets = np.arange(-reach, reach + 1)[:, None]
        middles = (ink * offsets).sum(axis=0)[alone] / counts[alone]
        x = positions[alone] - positions[alone].mean()
        slope = float(x @ middles) / max(float(x @ x), 1e-6)
        centre = centre + middles.mean() + slope * (positions - positions[alone].mean())
    return _Track(centre, thickness, line_contrast)


def _across(values: FloatArray, centre: FloatArray, reach: int) -> FloatArray:
    """Return each column's ``values`` from ``reach`` rows above its centre to as many below it.

    Takes (h, w) and (w,), returns (2 × reach + 1, w), with 0 outside of the picture.
    """
    rows = np.rint(centre).astype(np.intp) + np.arange(-reach, reach + 1)[:, None]
    height, width = values.shape
    found = values[np.clip(rows, 0, height - 1), np.arange(width)]
    return np.where((rows >= 0) & (rows < height), found, 0)
