"""Find every digit on a sheet, photograph or drawing of several.

The ink is compared with the paper around it, so that shadows, tables and uneven light do not
matter; lines of ruled and squared paper are removed. Ink that belongs together forms a part. A part
is cut wherever two digits may touch; which cuts are right is decided by reading the pieces.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kaggle_digits.imaging.background import FloatArray, otsu_threshold
from kaggle_digits.imaging.segmentation import CONNECTIVITY, even_ink, render_like_mnist

Box = tuple[int, ...]  # left, top, right, bottom
Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
# Dark areas that a square of this fraction of the longest side fits into are not ink. Strokes are
# thicker in drawings, pictures of at most so many pixels, where shadows are rare.
PAPER_WINDOW, DRAWING_WINDOW, DRAWING_SIDE = 0.07, 0.25, 500
# Minimum contrast of ink, and minimum contrast in standard deviations of the paper's noise.
MIN_CONTRAST, MIN_SIGMAS = 0.07, 6.0
FAINT = 0.55  # of the threshold: fainter ink counts where it is connected to stronger ink
# Lines of paper consist of straight runs of this length at these slopes, are at most so thick, and
# span so much: fractions of the longest side. Where several do, shorter pieces are lines, too; a
# single one must span the picture from edge to edge.
LINE_RUN, LINE_SLOPES = 0.02, (-0.08, -0.04, 0, 0.04, 0.08)
LINE_THICKNESS, LINE_SPAN = 0.008, 0.35
LINE_PIECE, SEVERAL_LINES, EDGE_TO_EDGE = 0.06, 3, 0.9
CROSSING = 4  # pixels of a line that a stroke may cross
# Heights of digits, and of pieces that belong to one, as fractions of the typical height.
MIN_HEIGHT, MAX_HEIGHT, MIN_PIECE = 0.4, 3.0, 0.15
MIN_PIXELS = 9  # height in pixels of the smallest digit
# Components above each other form one digit if they overlap horizontally by this fraction of the
# narrower one, the gap is at most this fraction of the height, and both are not too high together.
OVERLAP, MAX_GAP, MAX_JOINT = 0.4, 0.2, 1.4
MAX_COMPONENTS = 400  # considered on a sheet, the largest ones
NEAR = 0.06  # Components beside each other, nearer than this, may be pieces of one digit.
# A group is cut if it is wider than this fraction of its height. Pieces are at least MIN_WIDTH
# wide, candidates at most MAX_WIDTH, and a cut crosses so much ink at most: fractions of the
# height.
CUT_WIDTH, MIN_WIDTH, MAX_WIDTH, MAX_CROSSING = 0.7, 0.14, 1.7, 0.4
MAX_PIECES = 8  # of one digit
SEAM_ROWS = 40  # resolution at which cuts are searched
SLANT_COST = 0.1  # of a step aside, in pixels of ink
MIN_SIDE = 0.06  # fraction of the ink on each side of a cut


@dataclass(frozen=True)
class Candidate:
    """What may be one digit: its (28, 28) uint8 image, 255 is ink, and its box.

    The box is left, top, right, bottom in pixels of the upright picture.
    """

    image: NDArray[np.uint8]
    box: Box


@dataclass(frozen=True)
class SheetPart:
    """Ink that is one digit or several: ``pieces`` from left to right.

    ``candidates[i, j]`` consists of the pieces i to j − 1.
    """

    pieces: int
    candidates: dict[tuple[int, int], Candidate]


@dataclass(frozen=True)
class PreparedSheet:
    """The parts of a picture, and the picture scaled by ``scale``: (h, w, 3) uint8."""

    parts: tuple[SheetPart, ...]
    picture: NDArray[np.uint8]
    scale: float


def find_parts(luminance: FloatArray, scale: float) -> tuple[SheetPart, ...]:
    """Find what may be digits on a sheet: (h, w) float32, 0 to 1, of ``scale`` times its size."""
    if (ink := local_ink(luminance)) is None:
        return ()
    labels, boxes = _find_components(ink)
    parts = [_cut(ink, labels, boxes, group, scale) for group in _group(boxes)]
    return tuple(part for part in parts if part.candidates)


def count_digits(luminance: FloatArray) -> int:
    """Return how many components of the ink have the size of digits, without reading them."""
    ink = local_ink(luminance)
    return 0 if ink is None else len(_group(_find_components(ink)[1]))


def local_ink(luminance: FloatArray) -> FloatArray | None:
    """Return how much ink each pixel has, (h, w) 0 to 1, relative to the paper around it.

    None if nothing stands out. Ink fainter than the threshold and lines of the paper are 0.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(luminance, 0.7)
    longest = max(smooth.shape)
    part = PAPER_WINDOW if longest > DRAWING_SIDE else DRAWING_WINDOW
    window = max(15, round(part * longest) | 1)  # odd, to be symmetric
    # Ink is the minority: it makes the distribution about the local mean lopsided.
    above_mean = smooth - ndimage.uniform_filter(smooth, window)
    if (above_mean * above_mean * above_mean).mean() > 0:  # np.power takes 20 times as long
        smooth = 1 - smooth
    paper = ndimage.minimum_filter(ndimage.maximum_filter(smooth, window), window)
    contrast = 1 - smooth / np.maximum(paper, 0.05)
    middle = float(np.median(contrast))
    noise = 1.4826 * float(np.median(np.abs(contrast - middle)))
    contrast = np.maximum(contrast - middle, 0).astype(np.float32)
    floor = max(MIN_CONTRAST, MIN_SIGMAS * noise)
    above = np.asarray(contrast[contrast > floor], np.float32)
    if above.size < MIN_PIXELS:
        return None
    threshold = otsu_threshold(above)
    components, _ = ndimage.label(contrast > max(floor, FAINT * threshold), CONNECTIVITY)
    mask = np.isin(components, np.unique(components[contrast > threshold])) & (components > 0)
    mask = remove_lines(mask)
    return np.where(mask, contrast, 0)


def remove_lines(mask: Mask) -> Mask:
    """Return the mask without the lines of ruled and squared paper.

    Strokes that cross a line keep the pixels that they share with it.
    """
    from scipy import ndimage

    # At half the size, where every block of two by two pixels with ink counts, for speed.
    height, width = (side + side % 2 for side in mask.shape)
    blocks = np.zeros((height, width), np.bool_)
    blocks[: mask.shape[0], : mask.shape[1]] = mask
    small = blocks[::2, ::2] | blocks[1::2, ::2] | blocks[::2, 1::2] | blocks[1::2, 1::2]
    lines = _horizontal_lines(small) | _horizontal_lines(small.T).T
    if not lines.any():
        return mask
    lines = lines.repeat(2, 0).repeat(2, 1)[: mask.shape[0], : mask.shape[1]] & mask
    rest = mask & ~lines
    return rest | (lines & ndimage.binary_closing(rest, CONNECTIVITY, CROSSING))


def _horizontal_lines(mask: Mask) -> Mask:
    """Return the pixels of thin, almost horizontal lines: from edge to edge, or several."""
    from scipy import ndimage

    longest = max(mask.shape)
    run, thick = max(5, round(LINE_RUN * longest)), max(3, round(LINE_THICKNESS * longest))
    thin = mask & ~_runs(mask, thick, 0)
    rows = np.arange(mask.shape[0])[:, None]
    straight = np.zeros_like(mask)
    for slope in LINE_SLOPES:
        shifted = (rows + np.rint(slope * np.arange(mask.shape[1])).astype(int)) % len(rows)
        found = np.empty_like(mask)
        np.put_along_axis(found, shifted, _runs(np.take_along_axis(thin, shifted, 0), run, 1), 0)
        straight |= found
    padded = np.pad(straight, run)
    joined = ~_runs(~padded, run + 1, 1)[run:-run, run:-run]  # over crossing strokes
    labels, _ = ndimage.label(joined, CONNECTIVITY)
    spans = np.array([x.stop - x.start for _, x in ndimage.find_objects(labels)])
    if (spans >= LINE_SPAN * longest).sum() >= SEVERAL_LINES:
        is_line = spans >= LINE_PIECE * longest  # digits interrupt lines
    else:
        is_line = spans >= EDGE_TO_EDGE * mask.shape[1]
    return np.isin(labels, 1 + np.flatnonzero(is_line)) & thin


def _runs(mask: Mask, length: int, axis: int) -> Mask:
    """Return the pixels of runs of at least ``length`` pixels along an axis."""
    from scipy import ndimage

    length += 1 - length % 2  # the filters are symmetric for odd lengths
    values = ndimage.minimum_filter1d(mask.view(np.uint8), length, axis)
    return np.asarray(ndimage.maximum_filter1d(values, length, axis) > 0)


def _find_components(ink: FloatArray) -> tuple[Integers, Integers]:
    """Return the labels of the components, (h, w), and their boxes: (n, 4), left to bottom."""
    from scipy import ndimage

    labels, _ = ndimage.label(ink > 0, CONNECTIVITY)
    slices = ndimage.find_objects(labels)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in slices]).reshape(-1, 4)
    return labels, boxes


def _group(boxes: Integers) -> list[list[int]]:
    """Return groups of the components with these boxes; each is one digit or several that touch."""
    from scipy.sparse.csgraph import connected_components

    heights, sizes = boxes[:, 3] - boxes[:, 1], (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    if not len(boxes) or heights.max() < MIN_PIXELS:
        return []
    # The median of the heights, weighted by themselves.
    ascending = np.sort(heights)
    totals = ascending.cumsum()
    typical = int(ascending[np.searchsorted(totals, totals[-1] / 2)])
    used = np.flatnonzero((sizes >= MIN_PIECE * typical) & (heights <= MAX_HEIGHT * typical))
    used = used[np.argsort(-sizes[used], kind="stable")[:MAX_COMPONENTS]]
    left, top, right, bottom = boxes[used].T
    widths, heights = right - left, bottom - top
    is_main = heights >= max(MIN_PIXELS, MIN_HEIGHT * typical)
    # Pixels between two boxes, negative where they overlap.
    larger = np.maximum(heights, heights[:, None])
    gap_x = np.maximum(left, left[:, None]) - np.minimum(right, right[:, None])
    gap_y = np.maximum(top, top[:, None]) - np.minimum(bottom, bottom[:, None])
    joint = np.maximum(bottom, bottom[:, None]) - np.minimum(top, top[:, None])
    overlap = -gap_x / np.minimum(widths, widths[:, None])
    stacked = (overlap >= OVERLAP) & (gap_y <= MAX_GAP * larger) & (joint <= MAX_JOINT * typical)
    beside = (gap_x <= NEAR * larger) & (gap_y <= -0.5 * np.minimum(heights, heights[:, None]))
    belongs = (stacked | beside) & is_main & is_main[:, None]
    # A small piece belongs to the nearest digit.
    gaps = np.where(is_main, np.maximum(gap_x, gap_y) / heights, np.inf)
    nearest = gaps.argmin(axis=1)
    pieces = np.flatnonzero(~is_main & (gaps.min(axis=1) <= MAX_GAP))
    belongs[pieces, nearest[pieces]] = True
    _, group_of = connected_components(belongs, directed=False)
    return [used[group_of == group].tolist() for group in np.unique(group_of[is_main])]


def _cut(
    ink: FloatArray, labels: Integers, boxes: Integers, group: list[int], scale: float
) -> SheetPart:
    """Cut the ink of a group of components wherever two digits may touch."""
    from scipy import ndimage

    left, top = boxes[group, :2].min(axis=0)
    right, bottom = boxes[group, 2:].max(axis=0)
    inside = slice(top, bottom), slice(left, right)
    own = np.isin(labels[inside], np.array(group) + 1)
    ink = np.where(own, ink[inside], 0)
    height, width = own.shape
    seams = find_seams(own) if width > CUT_WIDTH * height else []
    pieces = len(seams) + 1
    # The piece of each pixel, from 1: one more than the seams on its left; 0 without ink.
    piece = own * (1 + sum((np.arange(width) >= seam[:, None] for seam in seams), 0 * own))
    candidates = {}
    for first, after in combinations(range(pieces + 1), 2):
        if after - first > MAX_PIECES:
            continue
        mask = (piece > first) & (piece <= after)
        if not (found := ndimage.find_objects(mask.astype(np.uint8))):
            continue
        y, x = found[0]
        high, wide = y.stop - y.start, x.stop - x.start
        if pieces > 1 and (wide > MAX_WIDTH * high or high < MIN_HEIGHT * height):
            continue
        cropped = np.pad(np.where(mask, ink, 0)[y, x], 1)
        full = float(np.quantile(cropped[cropped > 0], 0.9))
        image, _ = render_like_mnist(even_ink(cropped, 0.2 * full))
        box = np.array([left + x.start, top + y.start, left + x.stop, top + y.stop]) / scale
        candidates[first, after] = Candidate(image, tuple(np.rint(box).astype(int).tolist()))
    return SheetPart(pieces, candidates)


def find_seams(mask: Mask) -> list[Integers]:
    """Return paths from top to bottom, from left to right, that cross little ink: (h,) columns.

    They are the cheapest paths through each column of the middle row, by dynamic programming, as in
    S. Avidan and A. Shamir, "Seam Carving", SIGGRAPH 2007.
    """
    height, width = mask.shape
    rows = min(SEAM_ROWS, height)
    columns = max(2, round(width * rows / height))
    small = Image.fromarray(mask.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX)
    ink = np.asarray(small)
    middle = rows // 2
    upper_costs, upper = _cheapest_paths(ink[: middle + 1])
    lower_costs, lower = _cheapest_paths(ink[middle:][::-1])
    costs = upper_costs + lower_costs - ink[middle]
    paths = np.concatenate([upper, lower[::-1][1:]])
    # Ink on the left of each path, as a fraction of all.
    left = np.take_along_axis(np.pad(ink.cumsum(axis=1), ((0, 0), (1, 0))), paths, 1).sum(axis=0)
    share = left / ink.sum()
    nearest = max(2, round(MIN_WIDTH * rows))
    seams: list[Integers] = []
    for column in np.argsort(costs, kind="stable"):
        path = paths[:, column]
        if costs[column] > MAX_CROSSING * rows or not MIN_SIDE <= share[column] <= 1 - MIN_SIDE:
            continue
        if all(np.abs(path - other).mean() >= nearest for other in seams):
            seams.append(path)
    scaled = np.minimum(np.arange(height) * rows // height, rows - 1)
    seams.sort(key=np.mean)
    return [np.rint((path[scaled] + 0.5) * width / columns).astype(int) for path in seams]


def _cheapest_paths(ink: FloatArray) -> tuple[NDArray[np.float64], Integers]:
    """Return the cost of the cheapest path from the top to each column of the last row, and it.

    The ink is (rows, columns), the costs (columns,), and the paths (rows, columns): the column in
    each row of the path that ends in a column.
    """
    rows, columns = ink.shape
    steps = np.zeros((rows, columns), int)
    costs = ink[0].astype(np.float64)
    for row in range(1, rows):
        padded = np.pad(costs, 1, constant_values=np.inf)
        options = np.stack([padded[:-2] + SLANT_COST, padded[1:-1], padded[2:] + SLANT_COST])
        steps[row] = options.argmin(axis=0) - 1
        costs = options.min(axis=0) + ink[row]
    paths = np.empty((rows, columns), int)
    paths[-1] = np.arange(columns)
    for row in range(rows - 1, 0, -1):
        paths[row - 1] = paths[row] + steps[row, paths[row]]
    return costs, paths
