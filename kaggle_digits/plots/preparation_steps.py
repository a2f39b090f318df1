"""How a picture became what the network sees, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPLAINED = {
    "picture": "as it came",
    "ink": "against its paper",
    "digit": "cut out, evened",
    "strokes": "as wide as in training",
    "what the network sees": "28 × 28, centred by mass",
}


@style.styled
def steps(
    name: str, pictures: Mapping[str, NDArray[np.float32]], probabilities: NDArray[np.float32]
) -> Figure:
    """Each step as a picture, and what the network makes of the last.

    Args:
        name: what the picture is called.
        pictures: step → (h, w) float32, 0 to 1: the picture as it came, then ink on paper.
        probabilities: (10,) float32; all 0 where no digit was found.
    """
    figure = style.blank(2.1 * (len(pictures) + 1.2), 2.9, f"How {name} is read", squares=True)
    ratios = [1.0] * len(pictures) + [1.25]
    *grid, bars = figure.subplots(1, len(ratios), width_ratios=ratios)
    for axes, (step, values) in zip(grid, pictures.items(), strict=True):
        shown = values if step == "picture" else 1 - values
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
        style.bare(axes)
        axes.set_title(step.capitalize())
        axes.set_xlabel(EXPLAINED[step], color=style.MUTED, fontsize=8.5)
    digits = np.arange(len(probabilities))
    bars.barh(digits, 100 * probabilities, color=style.TRAINING, height=0.7)
    bars.set_yticks(digits)
    bars.set_ylim(len(digits) - 0.4, -0.6)
    bars.set_xlim(0, 100)
    bars.set(xlabel="sure (%)")
    bars.set_title("Answer")
    bars.tick_params(axis="y", length=0)
    return figure
