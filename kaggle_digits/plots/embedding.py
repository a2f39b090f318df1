"""Images as points of a plane, coloured by label: arrays in, Figure out; the caller saves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style.styled
def plane(
    points: NDArray[np.floating[Any]], labels: NDArray[np.integer], title: str, note: str
) -> Figure:
    """A point an image; each digit's name stands in the middle of its points.

    Args:
        points: (n, 2).
        labels: (n,) 0 to 9.
        title: above the picture.
        note: below it.
    """
    figure = style.blank(8.4, 7.6, title, note)
    axes = figure.subplots()
    order = np.random.default_rng(0).permutation(len(points))  # no digit lies over all others
    axes.scatter(
        points[order, 0],
        points[order, 1],
        c=np.array(style.DIGITS)[labels[order]],
        s=max(2.0, min(14.0, 40_000 / max(1, len(points)))),
        linewidth=0,
        alpha=0.7,
    )
    for digit in range(CLASSES):
        own = points[labels == digit]
        if len(own):
            axes.annotate(
                str(digit),
                tuple(np.median(own, axis=0)),
                ha="center",
                va="center",
                fontsize=13,
                fontweight="bold",
                bbox={
                    "boxstyle": "circle,pad=0.25",
                    "facecolor": style.PAPER,
                    "edgecolor": style.DIGITS[digit],
                    "linewidth": 2,
                },
            )
    low, high = np.quantile(points, [0.001, 0.999], axis=0)
    room = 0.06 * (high - low)
    axes.set_xlim(low[0] - room[0], high[0] + room[0])
    axes.set_ylim(low[1] - room[1], high[1] + room[1])
    axes.set(xlabel="first", ylabel="second")
    return figure
