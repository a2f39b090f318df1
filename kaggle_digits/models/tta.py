"""Test-time augmentation: predictions averaged over transformed copies of each image.

A network trained with augmentation predicts affine copies within the range of that augmentation.
For any other network, rotating and scaling only blurs the images, so its copies are shifted by
whole pixels: benchmarks/research.md.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name, usable_cores
from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import CENTRE, CLASSES, SIDE, Images
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.models.base import ProbabilisticModel

# Numbers of copies to choose from.
TTA_LEVELS = (1, 5, 9)


class AffineRange(NamedTuple):
    """The largest amounts of an affine transform; a transform has values from −x to x.

    The rotation is in degrees, width and height are relative changes of the size, shear is in
    horizontal pixels per vertical pixel, right and down are translations in pixels.
    """

    rotation: float
    width: float
    height: float
    shear: float
    right: float
    down: float


# (right, down) in pixels, for networks trained without augmentation.
SHIFTS = [(0, 0), (0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]
HALTON_BASES = (2, 3, 5, 7, 11, 13)
# Images transformed together: 0.8 MB per float32 copy, which fits a CPU's cache.
CHUNK = 256
# The most that is kept of the copies of images: 9 of the competition's 28,000 take 198 MB, and the
# recipes of `best` have different ones.
MAX_KEPT_BYTES = 512 << 20
# Background pixels added before and after each axis; coordinates are clipped to them.
PAD_BEFORE, PAD_AFTER = 1, 2


def check_tta(tta: int) -> None:
    """Raise UsageError if ``tta`` is not in TTA_LEVELS."""
    if tta not in TTA_LEVELS:
        raise UsageError(f"`tta={tta}` is not offered; one of: {', '.join(map(str, TTA_LEVELS))}")


@cache
def tta_transforms(tta: int, affine_range: AffineRange | None) -> NDArray[np.float64]:
    """Return the transform of each copy: (tta, 6), in the order and units of AffineRange.

    The first is the identity; the others are points of the Halton sequence (Halton 1960) and
    their negatives, so that the transforms average to the identity. A smaller number gives the
    first rows of a larger one. Without ``affine_range``, they are shifts by whole pixels.
    """
    if affine_range is None:
        shifts = np.array(SHIFTS[:tta], np.float64)
        return np.pad(shifts, ((0, 0), (len(AffineRange._fields) - 2, 0)))
    points = [[_halton(i, base) for base in HALTON_BASES] for i in range(1, tta // 2 + 1)]
    transforms = (2 * np.reshape(points, (-1, len(affine_range))) - 1) * affine_range
    pairs = np.stack([transforms, -transforms], axis=1).reshape(-1, len(affine_range))
    return np.concatenate([np.zeros((1, len(affine_range))), pairs])


def _halton(index: int, base: int) -> float:
    """Return element ``index`` of the van der Corput sequence; importing SciPy's takes a second."""
    value, weight = 0.0, 1.0
    while index:
        index, digit = divmod(index, base)
        weight /= base
        value += digit * weight
    return value


def apply_affine(images: Images, transform: NDArray[np.float64]) -> Images:
    """Transform (n, 28, 28) uint8 images by a row of ``tta_transforms``, interpolating bilinearly.

    Pixels outside the images are background.
    """
    if not transform.any():
        return images
    # Where each pixel is read, clipped to the padding.
    radians = np.deg2rad(transform[0])
    xx, xy, right, yx, yy, down = affine_coefficients(np, [radians, *transform[1:]])
    y, x = np.indices((SIDE, SIDE))
    columns, rows = np.clip([xx * x + xy * y + right, yx * x + yy * y + down], -PAD_BEFORE, SIDE)
    left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
    corners = [(top + down, left + right) for down in (0, 1) for right in (0, 1)]
    weights = [
        ((1 - abs(rows - row)) * (1 - abs(columns - column))).astype(np.float32)
        for row, column in corners
    ]
    width = SIDE + PAD_BEFORE + PAD_AFTER
    places = [((row + PAD_BEFORE) * width + column + PAD_BEFORE).ravel() for row, column in corners]
    transformed = np.empty_like(images)

    def fill(start: int) -> None:
        chunk = slice(start, start + CHUNK)
        padded = np.pad(images[chunk], ((0, 0), *[(PAD_BEFORE, PAD_AFTER)] * 2))
        pixels = np.ascontiguousarray(padded.reshape(len(padded), -1).T)  # gathered by rows
        pairs = zip(places, weights, strict=True)
        interpolated = sum(pixels[place] * weight.reshape(-1, 1) for place, weight in pairs)
        transformed[chunk] = np.rint(interpolated).T.reshape(-1, SIDE, SIDE)

    starts = range(0, len(images), CHUNK)
    if len(starts) == 1:  # threads would take longer than one drawing
        fill(0)
        return transformed
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(fill, starts))
    return transformed


class KeptCopies:
    """Images, and their copies for test-time augmentation, which several models predict.

    Under JAX the copies are kept on its device. ``images`` are (n, 28, 28) uint8.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._kept: dict[tuple[float, ...], Any] = {}

    def __len__(self) -> int:
        return len(self._images)

    def transformed(self, transform: NDArray[np.float64]) -> Any:
        """Return what ``apply_affine`` does, as an array of numpy or JAX."""
        key = tuple(transform)
        if key in self._kept:
            return self._kept[key]
        copy: Any = apply_affine(self._images, transform)
        if (len(self._kept) + 1) * copy.nbytes <= MAX_KEPT_BYTES:
            if backend_name() == "jax":
                import jax

                copy = jax.device_put(copy)
            self._kept[key] = copy
        return copy


def affine_coefficients(ops: Any, transform: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return the map from a pixel of the result to its source, about the image's centre.

    ``ops`` is keras.ops or numpy; ``transform`` (6, …) is in the order and units of AffineRange,
    but the rotation in radians. Returns xx, xy, right, yx, yy, down, each (…): the result at
    (x, y) is the source at (xx x + xy y + right, yx x + yy y + down).
    """
    width, height, shear = 1 + transform[1], 1 + transform[2], transform[3]
    cos, sin = ops.cos(transform[0]), ops.sin(transform[0])
    xx, xy = width * cos, shear - width * sin
    yx, yy = height * sin, height * cos
    right = CENTRE - (xx + xy) * CENTRE + transform[4]
    down = CENTRE - (yx + yy) * CENTRE + transform[5]
    return xx, xy, right, yx, yy, down


def predict_tta(
    classifier: ProbabilisticModel,
    images: Images | KeptCopies,
    tta: int,
    affine_range: AffineRange | None,
) -> dict[int, Probabilities]:
    """Predict in one pass with each level of TTA_LEVELS up to ``tta``.

    Returns the level → (n, 10) float32 probabilities averaged over that number of copies; raises
    UsageError if ``tta`` is not a level.
    """
    check_tta(tta)
    if isinstance(images, KeptCopies):
        transformed: Callable[..., Any] = images.transformed
    else:
        transformed = partial(apply_affine, images)
    total = np.zeros((len(images), CLASSES), np.float64)
    levels = {}
    for copies, transform in enumerate(tta_transforms(tta, affine_range), 1):
        total += classifier.predict_proba(transformed(transform))
        if copies in TTA_LEVELS:
            levels[copies] = (total / copies).astype(np.float32)
    return levels
