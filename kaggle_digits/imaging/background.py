"""Separate ink from the background: paper of any colour, uneven light, transparency."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# The background varies slowly, so it is fitted on at most this many blocks per side.
MAX_BLOCKS = 48
# Width of the picture's border, mostly background, as a fraction of the side.
BORDER = 0.08
FIT_ITERATIONS = 12
# If more than this fraction of the outermost pixels is not of one smooth colour, strokes reach the
# edge. The corners, squares of this fraction of the shorter side, then help to find the paper.
MIXED, CORNER = 0.04, 0.06
# Colours closer than SAME_PAPER are the same paper. The light is even if this fraction of the
# border has the same paper.
SAME_PAPER, EVEN_LIGHT = 0.1, 0.5
# Minimum contrast of ink, and minimum contrast in standard deviations of the background's noise.
MIN_CONTRAST, MIN_SIGMAS = 0.07, 6.0
# Full ink is the mean of the most contrasting pixels: one in a thousand, but at least so many.
FULL_INK_ONE_IN, MIN_FULL_INK_PIXELS = 1000, 6
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def ink_mask(colours: FloatArray) -> FloatArray | None:
    """Return how much ink each pixel has, for dark ink on light paper and the reverse.

    The background is fitted to all pixels that resemble the picture's border: a quadratic surface
    per channel, by least absolute differences.

    Takes (h, w, 3) float32, 0 to 1; returns (h, w) float32, 0 background to 1 full ink, or None
    if nothing stands out.
    """
    difference = colours - _background(colours)
    distance = np.sqrt(np.square(difference).mean(axis=2))
    paper = distance[distance < SAME_PAPER]
    # Standard deviation of normal noise from its median absolute value.
    noise = 1.4826 * float(np.median(paper)) if paper.size else 0.0
    lighter = difference @ LUMINANCE
    # Ink is either darker or lighter than the paper; highlights on dark ink and shadows beside
    # light ink are not ink.
    below, above = (np.square(distance[side]).sum() for side in (lighter < 0, lighter > 0))
    wrong_sign = lighter > 0 if below > above else lighter < 0
    distance = np.where(wrong_sign & (np.abs(lighter) > 0.3 * distance), 0, distance)
    count = min(max(MIN_FULL_INK_PIXELS, distance.size // FULL_INK_ONE_IN), distance.size)
    full_ink = float(np.partition(distance.ravel(), -count)[-count:].mean())
    if full_ink < max(MIN_CONTRAST, MIN_SIGMAS * noise):
        return None
    return np.clip(distance / full_ink, 0, 1).astype(np.float32)


def _background(colours: FloatArray) -> FloatArray:
    """Return the colour (h, w, 3) that each pixel would have without ink."""
    height, width = colours.shape[:2]
    # Block means, because single pixels could all lie on the lines of squared paper.
    block_height, block_width = -(-height // MAX_BLOCKS), -(-width // MAX_BLOCKS)
    rows, columns = height // block_height, width // block_width
    blocks = colours[: rows * block_height, : columns * block_width]
    blocks = blocks.reshape(rows, block_height, columns, block_width, 3)
    values = blocks.mean(axis=(1, 3)).reshape(-1, 3)
    y, x = _block_centres(rows, height, block_height), _block_centres(columns, width, block_width)
    terms = _quadratic_terms(y, x)
    border = np.abs(terms[:, 1:3]).max(axis=1) >= 1 - 2 * BORDER
    if not border.any():  # a picture of a few pixels
        border[:] = True
    terms_of_pixels = _quadratic_terms(_block_centres(height, height), _block_centres(width, width))
    edge = _edge(np.arange(height * width).reshape(height, width))
    edge_terms, edge_values = terms_of_pixels[edge], colours.reshape(-1, 3)[edge]
    smooth = edge_terms @ _fit_surface(edge_terms, edge_values)
    if (_colour_distance(edge_values, smooth) > SAME_PAPER).mean() > MIXED:
        is_paper = _lighter_or_darker(colours @ LUMINANCE)[
            : rows * block_height, : columns * block_width
        ]
        share = is_paper.reshape(rows, block_height, columns, block_width).mean(axis=(1, 3))
        border = share.ravel() > 0.5
    middle = np.median(values[border], axis=0)
    paper = _colour_distance(values, middle) < SAME_PAPER
    if paper[border].mean() < EVEN_LIGHT:
        surface = terms @ _fit_surface(terms[border], values[border])
        paper = _colour_distance(values, surface) < SAME_PAPER
    if not paper.any():
        return np.broadcast_to(middle, colours.shape)
    surface = terms_of_pixels @ _fit_surface(terms[paper], values[paper])
    return np.asarray(surface.reshape(colours.shape), np.float32)


def _edge(values: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of (h, w) values."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def _lighter_or_darker(luminance: FloatArray) -> NDArray[np.bool_]:
    """Return where the paper is: the lighter or the darker pixels, by area, edge and corners."""
    light = luminance > otsu_threshold(luminance)
    size = max(1, round(CORNER * min(light.shape)))
    ends = slice(size), slice(-size, None)
    corners = [light[rows, columns].mean() > 0.5 for rows in ends for columns in ends]
    votes = light.mean(), _edge(light).mean(), np.mean(corners)
    return light if np.mean(votes) > 0.5 else ~light


def otsu_threshold(values: FloatArray) -> float:
    """Return the threshold between two classes by Otsu's method: the most separated means."""
    counts, edges = np.histogram(values, 128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = counts.sum() - below
    sums = (counts * centres).cumsum()
    gaps = (sums[-1] - sums[:-1]) / np.maximum(above, 1) - sums[:-1] / np.maximum(below, 1)
    return float(edges[1 + np.argmax(below * above * np.square(gaps))])


def _block_centres(blocks: int, length: int, size: int = 1) -> FloatArray:
    """Return the centres of blocks of ``size`` pixels, scaled to −1 to 1 over the whole length."""
    centres = (np.arange(blocks, dtype=np.float32) + 0.5) * size
    return np.asarray(2 * centres / length - 1, np.float32)


def _quadratic_terms(rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Return the terms 1, y, x, xy, y², x² of the grid's positions: (rows × columns, 6)."""
    y, x = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
    return np.stack([np.ones_like(y), y, x, y * x, y * y, x * x], axis=1)


def _colour_distance(values: FloatArray, other: FloatArray) -> FloatArray:
    """(n, 3) → (n,): root mean square difference over the channels."""
    return np.asarray(np.sqrt(np.square(values - other).mean(axis=1)))


def _fit_surface(terms: FloatArray, values: FloatArray) -> Any:
    """Return coefficients (6, 3) of least absolute differences, by reweighted least squares."""
    coefficients = np.zeros((terms.shape[1], values.shape[1]), np.float32)
    coefficients[0] = np.median(values, axis=0)
    ridge = 1e-4 * np.eye(terms.shape[1], dtype=np.float32)
    for _ in range(FIT_ITERATIONS):
        weights = 1 / np.maximum(_colour_distance(values, terms @ coefficients), 0.01)
        weighted = terms * (weights / weights.sum())[:, None]
        coefficients = np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ values)
    return coefficients
