"""A picture of what augmentation does: a digit of each class, copies of it as a network sees them.

The copies come from kaggle_digits.training.augmentation; here they are only drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Images = NDArray[np.uint8]
COPIES = 9
GAP = 8  # pixels of paper between the digit and its copies
HALF_INK = 127.5


def one_of_each(labels: NDArray[np.integer]) -> NDArray[np.intp]:
    """The first row of each digit that there is, in order of the digits."""
    _, first = np.unique(labels, return_index=True)
    return np.asarray(first, np.intp)


def draw(images: Images, copies: Images, recipe: str, amounts: str, folder: Path) -> Path:
    """Save the picture as ``augmentation-RECIPE.png`` in ``folder`` and return its path.

    Args:
        images: (n, 28, 28) uint8, n from 1 to 10.
        copies: (c, n, 28, 28) uint8, moved copies of them.
        recipe: its name.
        amounts: how far images are moved, in words.
        folder: made where it is missing.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = folder / f"augmentation-{recipe}.png"
    style.save(moved_digits(images, copies, recipe, amounts), path)
    return path


@style.styled
def moved_digits(images: Images, copies: Images, recipe: str, amounts: str) -> Figure:
    """A line for each image: as it is, and its copies with its own outline over them.

    Args:
        images: (n, 28, 28) uint8.
        copies: (c, n, 28, 28) uint8.
        recipe: its name.
        amounts: how far images are moved, in words.
    """
    count, lines = len(copies), len(images)
    figure = style.blank(
        0.35 + 0.82 * (count + 1),
        1.75 + 0.76 * lines,
        f"What recipe {recipe} does to a digit",
        "The copies are what the network is trained on, drawn anew for each image and epoch: "
        "evenly within ±, normally with σ.\nThe orange line is the outline of the digit as it is.",
    )
    axes = figure.subplots()
    first = SIDE + GAP
    # One picture of all, as in gallery.digit_grid: a hundred axes take seconds to lay out.
    wall = np.zeros((lines * SIDE, first + count * SIDE), np.uint8)
    for line, image in enumerate(images):
        top = line * SIDE
        wall[top : top + SIDE, :SIDE] = image
        for place, copy in enumerate(copies[:, line]):
            left = first + place * SIDE
            wall[top : top + SIDE, left : left + SIDE] = copy
            if image.max() > HALF_INK:
                axes.contour(
                    np.arange(left, left + SIDE),
                    np.arange(top, top + SIDE),
                    image,
                    levels=[HALF_INK],
                    colors=style.VALIDATION,
                    linewidths=0.6,
                )
    axes.imshow(wall, cmap=style.INK_MAP, vmin=0, vmax=255)
    _frames(axes, lines, count, first)
    axes.text(SIDE / 2, -3, "as it is", ha="center", va="bottom")
    axes.text(first, -3, f"{count} copies", ha="left", va="bottom")
    axes.set_title(amounts, pad=24)
    return figure


def _frames(axes: Axes, lines: int, count: int, first: int) -> None:
    """Thin lines around every cell; the gap stays paper."""
    style.bare(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    lefts = [0, SIDE, *range(first, first + count * SIDE + 1, SIDE)]
    axes.vlines(np.array(lefts) - 0.5, -0.5, lines * SIDE - 0.5, style.FAINT, linewidth=0.8)
    levels = np.arange(lines + 1) * SIDE - 0.5
    for left, right in ((0, SIDE), (first, first + count * SIDE)):
        axes.hlines(levels, left - 0.5, right - 0.5, style.FAINT, linewidth=0.8)
