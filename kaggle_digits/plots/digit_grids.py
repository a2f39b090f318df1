"""Pictures made of digits: arrays in, Figure out; the caller saves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.metrics.predictions import Answer
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Images = NDArray[np.uint8]
Labels = NDArray[np.integer]
GRID = 10
ANSWER_COLUMNS = 6
MOST_FILTERS = 64
STRONGEST = 0.995


@style.styled
def first_digits(images: Images, labels: Labels) -> Figure:
    """The first nine images, each under its label.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) 0 to 9.
    """
    figure = style.blank(5.6, 6.4, "The first nine training digits")
    grid = figure.subplots(3, 3)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, label in zip(grid.flat, images, labels, strict=False):
        _digit(axes, image)
        axes.set_title(f"labelled {label}", loc="center")
    return figure


@style.styled
def digit_grid(images: Images, labels: Labels, seed: int = 0) -> Figure:
    """100 random images (or all, where there are fewer), each with its label in the corner.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) 0 to 9.
        seed: the same seed shows the same digits.
    """
    most = min(GRID * GRID, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), most, replace=False))
    figure = style.blank(
        8,
        8.7,
        f"{most} random training digits",
        f"Drawn with seed {seed}; the small figure is the label in train.csv.",
    )
    axes = figure.subplots()
    # One picture of all: a hundred axes take seconds to lay out.
    lines = -(-most // GRID)
    wall = np.zeros((lines * SIDE, GRID * SIDE), np.uint8)
    for place, row in enumerate(chosen):
        top, left = SIDE * (place // GRID), SIDE * (place % GRID)
        wall[top : top + SIDE, left : left + SIDE] = images[row]
        axes.text(left + 0.8, top + 0.8, str(labels[row]), va="top", fontsize=8, weight="bold")
    axes.imshow(wall, cmap=style.INK_MAP, vmin=0, vmax=255)
    style.bare(axes)
    for axis, count in ((axes.xaxis, GRID), (axes.yaxis, lines)):
        axis.set_ticks(np.arange(1, count) * SIDE - 0.5)
        axis.grid(visible=True)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    return figure


@style.styled
def mean_digits(images: Images, labels: Labels) -> Figure:
    """The mean image of each digit.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) 0 to 9.
    """
    figure = style.blank(
        8.6,
        4.6,
        "The mean of each digit",
        "Every pixel averaged over all training images with that label: sharp where people agree, "
        "blurred where they do not.",
    )
    for digit, axes in enumerate(figure.subplots(2, 5).flat):
        rows = labels == digit
        count = int(rows.sum())
        if count:
            _digit(axes, images[rows].mean(axis=0))
        else:
            style.bare(axes)
        axes.set_title(f"{digit}  ({count:,})", loc="center")
        axes.spines["bottom"].set(color=style.DIGITS[digit], linewidth=3)
    return figure


@style.styled
def worst_mistakes(images: Images, answers: Sequence[Answer]) -> Figure:
    """Wrong answers, surest first.

    Args:
        images: (k, 28, 28) uint8, one an answer, k at least 1.
        answers: k of them, from answers.worst_mistakes.
    """
    captions = [
        (f"{a.label} read as {a.predicted}", f"{a.sureness} sure · line {a.line}") for a in answers
    ]
    return _answers(
        images,
        captions,
        "The worst mistakes",
        "Wrong with the most confidence. The line is the digit's own in train.csv; "
        "a few of these labels may be wrong themselves.",
    )


@style.styled
def doubtful_right(images: Images, answers: Sequence[Answer]) -> Figure:
    """Right answers, most doubtful first.

    Args:
        images: (k, 28, 28) uint8, one an answer, k at least 1.
        answers: k of them, from answers.doubtful_right.
    """
    captions = [
        (
            f"{a.label}, or {a.second}?",
            f"{a.sureness} sure · line {a.line}",
        )
        for a in answers
    ]
    return _answers(
        images,
        captions,
        "The most doubtful right answers",
        "Read rightly with the least confidence; second is what the model nearly said. "
        "The line is the digit's own in train.csv.",
    )


@style.styled
def label_errors(images: Images, answers: Sequence[Answer], total: int) -> Figure:
    """Rows whose label is likely wrong, the least likely label first.

    Args:
        images: (k, 28, 28) uint8, one an answer, k at least 1.
        answers: k of them, from label_errors.find_label_errors.
        total: how many were found, k or more.
    """
    captions = [
        (f"labelled {a.label}: a {a.predicted}?", f"{a.sureness} sure · line {a.line}")
        for a in answers
    ]
    few = f"The first {len(answers)} of {total:,}. " if total > len(answers) else ""
    return _answers(
        images,
        captions,
        f"{total:,} labels that may be wrong" if total != 1 else "One label that may be wrong",
        f"{few}Read otherwise by networks that never saw the label, and surely. Some are merely "
        "badly written: look before you change a label. The line is the digit's own in train.csv.",
    )


@style.styled
def first_layer(
    weights: NDArray[np.float32], title: str = "What the first layer looks for"
) -> Figure:
    """The weights of a first layer as pictures on one colour scale, white at 0.

    Args:
        weights: (k, h, w) float32: k units looking at h × w pixels. At most 64 are drawn.
        title: above them.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    total, (height, width) = len(weights), weights.shape[1:]
    shown = weights[:MOST_FILTERS]
    columns = max(1, min(8, len(shown)))
    lines = -(-len(shown) // columns)
    few = f"The first {len(shown)} of {total} units" if total > len(shown) else f"{total} units"
    figure = style.blank(
        8.6,
        1.0 + 0.95 * lines,
        title,
        f"{few}, each {height} × {width} weights; ink on orange speaks against the unit, "
        "ink on purple for it.",
        squares=True,
    )
    # A training that diverged leaves infinite or missing weights: those stay white.
    sizes = np.abs(shown[np.isfinite(shown)])
    # A few weights far larger than the rest would leave all others pale.
    limit = float(np.quantile(sizes, STRONGEST)) if sizes.size else 1.0
    limit = limit or 1.0
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, unit in zip(grid.flat, shown, strict=False):
        axes.set_axis_on()
        axes.imshow(unit, cmap=style.SIGNED_MAP, vmin=-limit, vmax=limit)
        style.bare(axes)
    scale = ScalarMappable(Normalize(-limit, limit), style.SIGNED_MAP)
    figure.colorbar(
        scale, ax=grid, label="weight", extend="both", shrink=min(1.0, 4 / lines), aspect=25
    )
    return figure


def _answers(images: Images, captions: Sequence[tuple[str, str]], title: str, note: str) -> Figure:
    columns = min(ANSWER_COLUMNS, max(3, len(captions)))
    lines = -(-len(captions) // columns)
    figure = style.blank(1.75 * columns, 0.9 + 2.15 * lines, title, _wrapped(note, 24 * columns))
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, (heading, small) in zip(grid.flat, images, captions, strict=False):
        _digit(axes, image)
        axes.set_title(heading, loc="center", fontsize=11, fontweight="bold")
        axes.set_xlabel(small, fontsize=8.5, color=style.MUTED)
    return figure


def _digit(axes: Axes, image: NDArray[Any]) -> None:
    axes.set_axis_on()
    axes.imshow(image, cmap=style.INK_MAP, vmin=0, vmax=255)
    style.bare(axes)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
