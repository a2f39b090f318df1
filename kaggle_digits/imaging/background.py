"""Separate ink from the background: paper of any colour, uneven light, transparency."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# The background varies slowly, so it is fitted on the means of at most this many blocks per side.
MAX_BLOCKS = 48
# Width of the picture's border, mostly background, as a fraction of the side.
BORDER = 0.08
# The fit ends when no coefficient changes by more than the tolerance.
FIT_ITERATIONS, FIT_TOLERANCE = 12, 1e-3
MOSTLY_EQUAL = 0.5  # with more values that are exactly equal, as on a drawing, it is even
# If more than this fraction of the outermost blocks is not of one smooth colour, strokes reach the
# edge. The corners, squares of this fraction of the shorter side, then help to find the paper.
MIXED, CORNER = 0.04, 0.06
# Colours closer than SAME_PAPER are the same paper. The light is even if this fraction of the
# border has the same paper.
SAME_PAPER, EVEN_LIGHT = 0.1, 0.5
# Strokes are narrower than this fraction of the picture's longer side. A hard shadow is wider, and
# covers at least this fraction of the edge; the division by its brightness is limited.
MAX_STROKE, MIN_SHADOW, MIN_PAPER = 0.2, 0.05, 0.05
# Minimum contrast of ink, and minimum contrast in standard deviations of the background's noise.
MIN_CONTRAST, MIN_SIGMAS = 0.07, 6.0
# Full ink is the mean of the most contrasting pixels: one in a thousand, but at least so many.
FULL_INK_ONE_IN, MIN_FULL_INK_PIXELS = 1000, 6
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def ink_mask(colours: FloatArray) -> FloatArray | None:
    """Return how much ink each pixel has, for dark ink on light paper and the reverse.

    The background is fitted to all pixels that resemble the picture's border: a quadratic surface
    per channel, by least absolute differences. If a hard shadow remains, it is the picture with
    its strokes filled in.

    Takes (h, w, 3) float32, 0 to 1; returns (h, w) float32, 0 background to 1 full ink, or None
    if nothing stands out.
    """
    from scipy import ndimage

    background, has_shadow = _background(colours)
    if has_shadow:
        grey = colours @ LUMINANCE
        paper = fill_strokes(ndimage.uniform_filter(grey, 3))
        # Ink is darker than the shadow, unless what looks like a shadow is a thick stroke.
        if abs(np.quantile(paper, 0.02) - np.quantile(grey, 0.005)) > SAME_PAPER:
            lighter = np.asarray((grey - paper) / np.maximum(paper, MIN_PAPER), np.float32)
            return _relative_to_full(np.abs(lighter), lighter)
    difference = colours - background
    lighter = np.asarray(difference @ LUMINANCE, np.float32)
    return _relative_to_full(_colour_distance(difference), lighter)


def _relative_to_full(distance: FloatArray, lighter: FloatArray) -> FloatArray | None:
    """Return the ink from the distance to the paper's colour and how much lighter each pixel is."""
    paper = distance[distance < SAME_PAPER]
    # Standard deviation of normal noise from its median absolute value.
    noise = 1.4826 * float(np.median(paper)) if paper.size else 0.0
    # Ink is either darker or lighter than the paper; highlights on dark ink and shadows beside
    # light ink are not ink.
    squares = np.square(distance)
    is_light = np.dot(squares.ravel(), (lighter > 0).ravel()) >= squares.sum() / 2
    wrong_sign = lighter < 0 if is_light else lighter > 0
    distance = np.where(wrong_sign & (np.abs(lighter) > 0.3 * distance), 0, distance)
    count = min(max(MIN_FULL_INK_PIXELS, distance.size // FULL_INK_ONE_IN), distance.size)
    # np.partition takes 20 times as long as np.sort if most values are equal, as on a drawing.
    full_ink = float(np.sort(distance, axis=None)[-count:].mean())
    if full_ink < max(MIN_CONTRAST, MIN_SIGMAS * noise):
        return None
    return np.asarray(np.minimum(distance / full_ink, 1), np.float32)


def block_means(values: FloatArray, size: int) -> FloatArray:
    """Average blocks of ``size`` × ``size`` pixels: (h, w, …) → (⌈h / size⌉, ⌈w / size⌉, …).

    The last pixels are repeated to fill the last blocks.
    """
    if size == 1:
        return values
    height, width, *channels = values.shape
    values = np.pad(
        values, [(0, -height % size), (0, -width % size), *[(0, 0)] * len(channels)], "edge"
    )
    rows, columns = values.shape[0] // size, values.shape[1] // size
    values = values.reshape(rows, size, -1).mean(axis=1)
    return np.asarray(values.reshape(rows, columns, size, *channels).mean(axis=2))


def fill_strokes(grey: FloatArray) -> FloatArray:
    """Return the paper (h, w) without dark strokes, or without light ones on dark paper."""
    from scipy import ndimage

    filters, size = (ndimage.grey_closing, ndimage.grey_opening), (_fill_size(grey),) * 2
    # If what is filled in is ink, the paper that remains is even.
    return min((fill(grey, size, mode="nearest") for fill in filters), key=np.ptp)


def _fill_size(picture: FloatArray) -> int:
    longer: int = max(picture.shape[:2])
    return max(3, round(MAX_STROKE * longer))


def _background(colours: FloatArray) -> tuple[FloatArray, bool]:
    """Return the colour (h, w, 3) of each pixel without ink, and whether a hard shadow remains."""
    from scipy import ndimage

    height, width = colours.shape[:2]
    # Block means, because single pixels could all lie on the lines of squared paper.
    size = min(-(-max(height, width) // MAX_BLOCKS), height, width)
    blocks = block_means(colours, size)
    values = blocks.reshape(-1, 3)
    terms = _quadratic_terms(
        _block_centres(len(blocks), height, size), _block_centres(blocks.shape[1], width, size)
    )
    border = np.abs(terms[:, 1:3]).max(axis=1) >= 1 - 2 * BORDER
    if not border.any():  # a picture of a few pixels
        border[:] = True
    edge = _edge(np.arange(len(values)).reshape(blocks.shape[:2]))
    smooth = terms[edge] @ _fit_surface(terms[edge], values[edge])
    if (_colour_distance(values[edge] - smooth) > SAME_PAPER).mean() > MIXED:
        border = _lighter_or_darker(blocks @ LUMINANCE).ravel()
    middle = np.median(values[border], axis=0)
    paper = _colour_distance(values - middle) < SAME_PAPER
    if paper[border].mean() < EVEN_LIGHT:
        surface = terms @ _fit_surface(terms[border], values[border])
        paper = _colour_distance(values - surface) < SAME_PAPER
    if not paper.any():
        return np.broadcast_to(middle, colours.shape), False
    coefficients = _fit_surface(terms[paper], values[paper])
    rest = _colour_distance(values - terms @ coefficients) >= SAME_PAPER
    # A shadow is wider than a stroke and reaches the edge of the picture.
    wide = ndimage.minimum_filter(rest.reshape(blocks.shape[:2]), _fill_size(blocks))
    has_shadow = bool(_edge(wide).mean() > MIN_SHADOW)
    return _evaluate_surface(coefficients, height, width), has_shadow


def _edge(values: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost elements of (h, w) values."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def _lighter_or_darker(luminance: FloatArray) -> NDArray[np.bool_]:
    """Return where the paper is: the lighter or the darker blocks, by area, edge and corners."""
    light = luminance > otsu_threshold(luminance)
    size = max(1, round(CORNER * min(light.shape)))
    ends = slice(size), slice(-size, None)
    corners = [light[rows, columns].mean() > 0.5 for rows in ends for columns in ends]
    votes = light.mean(), _edge(light).mean(), np.mean(corners)
    return light if np.mean(votes) > 0.5 else ~light


def otsu_threshold(values: FloatArray) -> float:
    """Return the threshold between two classes by Otsu's method: the most separated means."""
    values = np.sort(values, axis=None)
    below = np.arange(1, values.size)
    sums = values.cumsum(dtype=np.float64)
    gaps = (sums[-1] - sums[:-1]) / below[::-1] - sums[:-1] / below
    best = int(np.argmax(below * below[::-1] * np.square(gaps))) if below.size else 0
    return float(values[best])


def _block_centres(blocks: int, length: int, size: int = 1) -> FloatArray:
    """Return the centres of blocks of ``size`` pixels, scaled to −1 to 1 over the whole length."""
    centres = (np.arange(blocks, dtype=np.float32) + 0.5) * size
    return np.asarray(2 * centres / length - 1, np.float32)


def _quadratic_terms(rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Return the terms 1, y, x, xy, y², x² of the grid's positions: (rows × columns, 6)."""
    y, x = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
    return np.stack([np.ones_like(y), y, x, y * x, y * y, x * x], axis=1)


def _colour_distance(difference: FloatArray) -> FloatArray:
    """(…, 3) → (…): root mean square over the channels."""
    squares = np.square(difference)
    return np.asarray(np.sqrt((squares[..., 0] + squares[..., 1] + squares[..., 2]) / 3))


def _fit_surface(terms: FloatArray, values: FloatArray) -> FloatArray:
    """Return coefficients (6, 3) of least absolute differences, by reweighted least squares."""
    coefficients = np.zeros((terms.shape[1], values.shape[1]), np.float32)
    coefficients[0] = middle = np.median(values, axis=0)
    if (values == middle).all(axis=1).mean() > MOSTLY_EQUAL:
        return coefficients
    ridge = 1e-4 * np.eye(terms.shape[1], dtype=np.float32)
    for _ in range(FIT_ITERATIONS):
        weights = 1 / np.maximum(_colour_distance(values - terms @ coefficients), 0.01)
        weighted = (terms * (weights / weights.sum())[:, None]).T
        previous = coefficients
        coefficients = np.linalg.solve(weighted @ terms + ridge, weighted @ values)
        if np.abs(coefficients - previous).max() < FIT_TOLERANCE:
            break
    return coefficients


def _evaluate_surface(coefficients: FloatArray, height: int, width: int) -> FloatArray:
    """Return the surface (h, w, 3) at the centre of every pixel."""
    y, x = _block_centres(height, height)[:, None], _block_centres(width, width)
    constant, down, across, both, down2, across2 = coefficients[:, None]
    # In each row, the surface is a quadratic function of x.
    row_terms = constant + down * y + down2 * np.square(y), across + both * y, 0 * y + across2
    column_terms = np.stack([np.ones_like(x), x, np.square(x)], axis=1)
    return np.asarray(column_terms @ np.stack(row_terms, axis=1))
