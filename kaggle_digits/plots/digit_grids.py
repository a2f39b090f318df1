"""Pictures made of digits: arrays in, Figure out; the caller saves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.metrics.predictions import Prediction
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
COPIES = 9
GAP = 8  # pixels of paper between the digit and its copies
HALF_INK = 127.5


@style.styled
def first_digits(images: Images, labels: Labels) -> Figure:
    """The first nine images, each under its label.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) 0 to 9.
    """
    figure = style.new_figure(5.6, 6.4, "The first nine training digits")
    grid = figure.subplots(3, 3)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, label in zip(grid.flat, images, labels, strict=False):
        _digit(axes, image)
        axes.set_title(f"labelled {label}", loc="center")
    return figure


@style.styled
def random_digits(images: Images, labels: Labels, seed: int = 0) -> Figure:
    """100 random images (or all, where there are fewer), each with its label in the corner.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) 0 to 9.
        seed: the same seed shows the same digits.
    """
    most = min(GRID * GRID, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), most, replace=False))
    figure = style.new_figure(
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
    axes.imshow(wall, cmap=style.DIGIT_CMAP, vmin=0, vmax=255)
    style.hide_ticks(axes)
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
    figure = style.new_figure(
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
            style.hide_ticks(axes)
        axes.set_title(f"{digit}  ({count:,})", loc="center")
        axes.spines["bottom"].set(color=style.DIGIT_COLORS[digit], linewidth=3)
    return figure


@style.styled
def most_confident_errors(images: Images, answers: Sequence[Prediction]) -> Figure:
    """Wrong answers, surest first.

    Args:
        images: (k, 28, 28) uint8, one an answer, k at least 1.
        answers: k of them, from answers.most_confident_errors.
    """
    captions = [
        (f"{a.label} read as {a.predicted}", f"{a.confidence_text} sure · line {a.line}")
        for a in answers
    ]
    return _answers(
        images,
        captions,
        "The worst mistakes",
        "Wrong with the most confidence. The line is the digit's own in train.csv; "
        "a few of these labels may be wrong themselves.",
    )


@style.styled
def least_confident_correct(images: Images, answers: Sequence[Prediction]) -> Figure:
    """Right answers, most doubtful first.

    Args:
        images: (k, 28, 28) uint8, one an answer, k at least 1.
        answers: k of them, from answers.least_confident_correct.
    """
    captions = [
        (
            f"{a.label}, or {a.second}?",
            f"{a.confidence_text} sure · line {a.line}",
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
def label_errors(images: Images, answers: Sequence[Prediction], total: int) -> Figure:
    """Rows whose label is likely wrong, the least likely label first.

    Args:
        images: (k, 28, 28) uint8, one an answer, k at least 1.
        answers: k of them, from label_errors.find_label_errors.
        total: how many were found, k or more.
    """
    captions = [
        (f"labelled {a.label}: a {a.predicted}?", f"{a.confidence_text} sure · line {a.line}")
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
def first_layer_weights(
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
    figure = style.new_figure(
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
        axes.imshow(unit, cmap=style.DIVERGING_CMAP, vmin=-limit, vmax=limit)
        style.hide_ticks(axes)
    scale = ScalarMappable(Normalize(-limit, limit), style.DIVERGING_CMAP)
    figure.colorbar(
        scale, ax=grid, label="weight", extend="both", shrink=min(1.0, 4 / lines), aspect=25
    )
    return figure


def first_of_each_class(labels: NDArray[np.integer]) -> NDArray[np.intp]:
    """The first row of each digit that there is, in order of the digits."""
    _, first = np.unique(labels, return_index=True)
    return np.asarray(first, np.intp)


@style.styled
def augmented_digits(images: Images, copies: Images, recipe: str, amounts: str) -> Figure:
    """A line for each image: as it is, and its copies with its own outline over them.

    Args:
        images: (n, 28, 28) uint8.
        copies: (c, n, 28, 28) uint8.
        recipe: its name.
        amounts: how far images are moved, in words.
    """
    count, lines = len(copies), len(images)
    figure = style.new_figure(
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
                    colors=style.VAL_COLOR,
                    linewidths=0.6,
                )
    axes.imshow(wall, cmap=style.DIGIT_CMAP, vmin=0, vmax=255)
    _frames(axes, lines, count, first)
    axes.text(SIDE / 2, -3, "as it is", ha="center", va="bottom")
    axes.text(first, -3, f"{count} copies", ha="left", va="bottom")
    axes.set_title(amounts, pad=24)
    return figure


def _frames(axes: Axes, lines: int, count: int, first: int) -> None:
    """Thin lines around every cell; the gap stays paper."""
    style.hide_ticks(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    lefts = [0, SIDE, *range(first, first + count * SIDE + 1, SIDE)]
    axes.vlines(np.array(lefts) - 0.5, -0.5, lines * SIDE - 0.5, style.GRID_COLOR, linewidth=0.8)
    levels = np.arange(lines + 1) * SIDE - 0.5
    for left, right in ((0, SIDE), (first, first + count * SIDE)):
        axes.hlines(levels, left - 0.5, right - 0.5, style.GRID_COLOR, linewidth=0.8)


EXPLAINED = {
    "picture": "as it came",
    "ink": "against its paper",
    "digit": "cut out, evened",
    "strokes": "as wide as in training",
    "what the network sees": "28 × 28, centred by mass",
}


@style.styled
def preprocessing_steps(
    name: str, pictures: Mapping[str, NDArray[np.float32]], probabilities: NDArray[np.float32]
) -> Figure:
    """Each step as a picture, and what the network makes of the last.

    Args:
        name: what the picture is called.
        pictures: step → (h, w) float32, 0 to 1: the picture as it came, then ink on paper.
        probabilities: (10,) float32; all 0 where no digit was found.
    """
    figure = style.new_figure(2.1 * (len(pictures) + 1.2), 2.9, f"How {name} is read", squares=True)
    ratios = [1.0] * len(pictures) + [1.25]
    *grid, bars = figure.subplots(1, len(ratios), width_ratios=ratios)
    for axes, (step, values) in zip(grid, pictures.items(), strict=True):
        shown = values if step == "picture" else 1 - values
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
        style.hide_ticks(axes)
        axes.set_title(step.capitalize())
        axes.set_xlabel(EXPLAINED[step], color=style.MUTED_COLOR, fontsize=8.5)
    digits = np.arange(len(probabilities))
    bars.barh(digits, 100 * probabilities, color=style.TRAIN_COLOR, height=0.7)
    bars.set_yticks(digits)
    bars.set_ylim(len(digits) - 0.4, -0.6)
    bars.set_xlim(0, 100)
    bars.set(xlabel="sure (%)")
    bars.set_title("Answer")
    bars.tick_params(axis="y", length=0)
    return figure


def _answers(images: Images, captions: Sequence[tuple[str, str]], title: str, note: str) -> Figure:
    columns = min(ANSWER_COLUMNS, max(3, len(captions)))
    lines = -(-len(captions) // columns)
    figure = style.new_figure(
        1.75 * columns, 0.9 + 2.15 * lines, title, _wrapped(note, 24 * columns)
    )
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, (heading, small) in zip(grid.flat, images, captions, strict=False):
        _digit(axes, image)
        axes.set_title(heading, loc="center", fontsize=11, fontweight="bold")
        axes.set_xlabel(small, fontsize=8.5, color=style.MUTED_COLOR)
    return figure


def _digit(axes: Axes, image: NDArray[Any]) -> None:
    axes.set_axis_on()
    axes.imshow(image, cmap=style.DIGIT_CMAP, vmin=0, vmax=255)
    style.hide_ticks(axes)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
