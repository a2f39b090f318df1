"""Where the ink is in a picture: against paper of any colour, unevenly lit, or transparent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# The paper's colour is fitted on a picture of at most so many pixels a side: it changes slowly.
COARSE = 48
RING = 0.08  # share of a side that counts as the picture's edge, where there is mostly paper
FITS = 12
# Colours no further apart are the same paper; it is evenly lit if that share of the edge is.
ALIKE, EVEN = 0.1, 0.5
# Weakest ink, as a share of the way from black to white, and in deviations of the paper's grain.
FAINTEST, GRAIN = 0.07, 6.0
# The ink's full strength is that of its strongest pixels, this many thousandths of all.
STRONGEST = 1.0
FEWEST_STRONG = 6
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def ink_mask(colours: FloatArray) -> FloatArray | None:
    """How much ink each pixel carries, whichever of ink and paper is the darker.

    The paper is a quadratic surface a channel, by least absolute differences, through all pixels
    that are like the picture's edge.

    Args:
        colours: (h, w, 3) float32, 0 to 1.

    Returns:
        (h, w) float32, 0 paper to 1 full ink; None where nothing stands out from the paper.
    """
    difference = colours - _paper(colours)
    distance = np.sqrt(np.square(difference).mean(axis=2))
    plain = distance[distance < ALIKE]
    # The deviation of normal noise from its median distance.
    grain = 1.4826 * float(np.median(plain)) if plain.size else 0.0
    lighter = difference @ LUMINANCE
    # Glare on dark ink, or shadow beside light ink, is no ink.
    wrong = (
        lighter > 0
        if _weight(distance, lighter < 0) > _weight(distance, lighter > 0)
        else (lighter < 0)
    )
    distance = np.where(wrong & (np.abs(lighter) > 0.3 * distance), 0, distance)
    strongest = max(FEWEST_STRONG, int(distance.size * STRONGEST / 1000))
    strongest = min(strongest, distance.size)
    full = float(np.partition(distance.ravel(), -strongest)[-strongest:].mean())
    if full < max(FAINTEST, GRAIN * grain):
        return None
    found: FloatArray = np.clip(distance / full, 0, 1).astype(np.float32)
    return found


def _weight(distance: FloatArray, where: NDArray[np.bool_]) -> float:
    return float(np.square(distance[where]).sum())


def _paper(colours: FloatArray) -> FloatArray:
    """(h, w, 3): the colour that each pixel has where there is no ink."""
    height, width = colours.shape[:2]
    # Means of blocks, since single pixels may all fall on the lines of squared paper.
    high, wide = -(-height // COARSE), -(-width // COARSE)
    rows, columns = height // high, width // wide
    blocks = colours[: rows * high, : columns * wide].reshape(rows, high, columns, wide, 3)
    coarse = blocks.mean(axis=(1, 3))
    down, across = np.meshgrid(
        _places(rows, height, high), _places(columns, width, wide), indexing="ij"
    )
    edge = np.maximum(np.abs(down), np.abs(across)) >= 1 - 2 * RING
    terms, values = _terms(down, across), coarse.reshape(-1, 3)
    edge = edge.ravel()
    if not edge.any():  # of a few pixels in all
        edge[:] = True
    middle = np.median(values[edge], axis=0)
    alike = _far(values, middle) < ALIKE
    if alike[edge].mean() < EVEN:  # the light changes across the picture
        alike = _far(values, terms @ _fitted(terms[edge], values[edge])) < ALIKE
    surface = _fitted(terms[alike], values[alike]) if alike.any() else None
    if surface is None:
        return np.broadcast_to(middle, colours.shape)
    down, across = np.meshgrid(_places(height, height), _places(width, width), indexing="ij")
    paper: FloatArray = (_terms(down, across) @ surface).reshape(colours.shape)
    return paper


def _places(blocks: int, length: int, step: int = 1) -> FloatArray:
    """(blocks,): the middles of blocks of ``step`` pixels, from -1 to 1 along the whole length."""
    middles = (np.arange(blocks, dtype=np.float32) + 0.5) * step
    return np.asarray(2 * middles / length - 1, np.float32)


def _terms(down: FloatArray, across: FloatArray) -> FloatArray:
    one = np.ones_like(down)
    terms = [one, down, across, down * across, down * down, across * across]
    return np.stack(terms, axis=-1).reshape(-1, len(terms))


def _far(values: FloatArray, other: FloatArray) -> FloatArray:
    """(n,): the distance of colours (n, 3), root mean square over the channels."""
    far: FloatArray = np.sqrt(np.square(values - other).mean(axis=1))
    return far


def _fitted(terms: FloatArray, values: FloatArray) -> Any:
    """Coefficients (6, 3) of least absolute differences, by reweighted least squares."""
    surface = np.zeros((terms.shape[1], values.shape[1]), np.float32)
    surface[0] = np.median(values, axis=0)
    ridge = 1e-4 * np.eye(terms.shape[1], dtype=np.float32)
    for _ in range(FITS):
        weights = 1 / np.maximum(_far(values, terms @ surface), 0.01)
        weighted = terms * (weights / weights.sum())[:, None]
        surface = np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ values)
    return surface
