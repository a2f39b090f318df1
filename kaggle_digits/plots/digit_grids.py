"""Figures made of digit images: arrays in, Figure out.

Images are (n, 28, 28) uint8, labels (n,) integers 0 to 9. Predictions refer to rows of the images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES, SIDE, Images, Labels
from kaggle_digits.metrics.classification import Prediction
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID_SIDE = 10
PREDICTION_COLUMNS = 6
# From an image with its heading and caption to the next, in its pixels.
CELL_WIDTH, CELL_HEIGHT = 34, 47
MOST_UNITS = 64
COLOR_LIMIT_QUANTILE = 0.995
COPIES = 9
GAP = 8  # pixels between a digit and its augmented copies
HALF_INK = 127.5
SURE = 0.9

STEP_NOTES = {
    "picture": "input",
    "ink": "background removed",
    "digit": "cut out, contrast evened",
    "strokes": "stroke width normalized",
    "what the network sees": "28 × 28, centred by mass",
}


@style.styled
def first_digits(images: Images, labels: Labels) -> Figure:
    """Plot the first nine images with their labels."""
    captions = [f"label {label}" for label in labels[:9]]
    return digit_grid(images[:9], captions, "The first nine training digits")


@style.styled
def digit_grid(
    images: NDArray[Any],
    captions: Sequence[str],
    title: str,
    *,
    highlighted: Sequence[bool] | NDArray[np.bool_] | None = None,
    max_value: int = 255,
) -> Figure:
    """Draw images, (n, h, w), in a square grid.

    The captions in ``highlighted``, (n,) booleans, are orange. ``max_value`` is full ink.
    """
    side = math.ceil(len(images) ** 0.5)
    figure = style.new_figure(style.WIDTH, 8, title, squares=True)
    cells = zip(_grid(figure, side, side), images, captions, strict=False)
    for position, (axes, image, caption) in enumerate(cells):
        style.show_digit(axes, image, max_value)
        orange = highlighted is not None and highlighted[position]
        color = style.VAL_COLOR if orange else style.TEXT_COLOR
        axes.set_title(caption, loc="center", color=color)
    return figure


@style.styled
def random_digits(images: Images, labels: Labels, seed: int = 0) -> Figure:
    """Plot 100 random images (or all, if there are fewer) with their labels."""
    count = min(GRID_SIDE**2, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))
    note = f"Drawn with seed {seed}. The number in each corner is the label in train.csv."
    figure = style.new_figure(style.WIDTH, 8.2, f"{count} random training digits", note)
    axes = figure.subplots()
    # One image of all digits: the layout of a hundred axes takes seconds.
    lines = -(-count // GRID_SIDE)
    mosaic = np.zeros((lines * SIDE, GRID_SIDE * SIDE), np.uint8)
    # Texts inside the axes do not change the layout, but measuring them takes time.
    font: dict[str, Any] = {"fontsize": 8, "weight": "bold", "in_layout": False}
    for position, row in enumerate(chosen):
        top, left = SIDE * (position // GRID_SIDE), SIDE * (position % GRID_SIDE)
        mosaic[top : top + SIDE, left : left + SIDE] = images[row]
        axes.text(left + 0.8, top + 0.8, str(labels[row]), va="top", **font)
    style.show_digit(axes, mosaic)
    for axis, cells in ((axes.xaxis, GRID_SIDE), (axes.yaxis, lines)):
        axis.set_ticks(np.arange(1, cells) * SIDE - 0.5)
        axis.grid(visible=True)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    return figure


@style.styled
def mean_digits(images: Images, labels: Labels) -> Figure:
    """Plot the mean image of each digit."""
    note = (
        "Every pixel averaged over all training images with this label. Blurred areas are written "
        "in different ways."
    )
    figure = style.new_figure(style.WIDTH, 4, "The mean image of each digit", note)
    for digit, axes in enumerate(figure.subplots(2, CLASSES // 2).flat):
        rows = labels == digit
        style.hide_ticks(axes)
        if count := int(rows.sum()):
            style.show_digit(axes, images[rows].mean(axis=0))
        axes.set_title(f"{digit}  ({count:,})", loc="center")
    return figure


@style.styled
def most_confident_errors(images: Images, predictions: Sequence[Prediction]) -> Figure:
    """Plot wrong predictions, at least one, from ``notable_predictions``."""
    headings = [f"{p.label} → {p.predicted}" for p in predictions]
    note = (
        "Above each image: label → wrong prediction. Below: its confidence and the line of "
        "train.csv, which kd show LINE draws larger."
    )
    return _predictions(images, predictions, headings, "Most confident errors", note)


@style.styled
def least_confident_correct(images: Images, predictions: Sequence[Prediction]) -> Figure:
    """Plot correct predictions, at least one, from ``notable_predictions``."""
    headings = [f"{p.label}, next {p.second}" for p in predictions]
    note = (
        "Above each image: correct prediction and second most probable digit. Below: the "
        "confidence and the line of train.csv, which kd show LINE draws larger."
    )
    return _predictions(images, predictions, headings, "Least confident correct predictions", note)


@style.styled
def saliency(
    images: Images, predictions: Sequence[Prediction], maps: NDArray[np.float32]
) -> Figure:
    """Plot how much each pixel speaks for a wrong prediction: ``maps`` (n, 28, 28) float32.

    Each map has its own colour scale, white at 0, and the outline of its image.
    """
    note = (
        "Above each image: label → wrong prediction. Ink on orange speaks for the wrong "
        "prediction, ink on blue for the label."
    )
    headings = [f"{p.label} → {p.predicted}" for p in predictions]
    figure = _predictions(images, predictions, headings, "Pixels behind the errors", note)
    (axes,) = figure.axes
    for position, (prediction, values) in enumerate(zip(predictions, maps, strict=False)):
        limit = np.abs(values).max() or 1.0
        left, top = _corner(position)
        _show_at(axes, values, (left, top), style.evidence_cmap(), (-limit, limit))
        if (image := images[prediction.row]).max() > HALF_INK:
            x, y = (np.arange(SIDE) + start + 0.5 for start in (left, top))
            axes.contour(x, y, image, [HALF_INK], colors=style.TEXT_COLOR, linewidths=0.7)
    return figure


@style.styled
def label_errors(images: Images, predictions: Sequence[Prediction], total: int) -> Figure:
    """Plot rows whose label is probably wrong: one or more of the ``total`` that were found."""
    count = len(predictions)
    shown = f"The first {count} of {total:,}. " if total > count else ""
    headings = [f"{p.label}, maybe {p.predicted}" for p in predictions]
    title = f"{total:,} labels that may be wrong" if total != 1 else "One label that may be wrong"
    note = (
        f"{shown}Models that never saw the label predict another digit. Below each image: the "
        "confidence of that prediction, after temperature scaling, and the line of train.csv. Some "
        "digits are only badly written: look before you change a label. kd show LINE draws one "
        "larger."
    )
    return _predictions(images, predictions, headings, title, note)


@style.styled
def first_layer_weights(
    weights: NDArray[np.float32],
    title: str = "Weights of the first layer",
    *,
    linear: bool = False,
) -> Figure:
    """Plot the weights of at most 64 units as images with a common colour scale, white at 0.

    ``weights`` are (units, h, w) float32: the weights of each unit for h × w pixels. The units of a
    ``linear`` model are the digits.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    total, (height, width) = len(weights), weights.shape[1:]
    shown = weights[:MOST_UNITS]
    digits = linear and total == CLASSES  # fewer if the training rows lack a digit
    columns = min(5 if digits else 8, len(shown))
    lines = -(-len(shown) // columns)
    count = f"The first {len(shown)} of {total} units" if total > len(shown) else f"{total} units"
    note = (
        f"{count}, each with {height} × {width} weights. Ink on orange raises the unit's output, "
        "ink on blue lowers it."
    )
    if digits:
        note = "Ink on orange speaks for the digit above the image, ink on blue against it."
    line_height = 1.4 if digits else 0.78  # in inches
    figure = style.new_figure(style.WIDTH, 0.9 + line_height * lines, title, note, squares=True)
    # The colour scale ignores infinite or NaN weights of a diverged training, and a few weights far
    # larger than the rest, which would leave all others pale.
    sizes = np.abs(shown[np.isfinite(shown)])
    limit = (float(np.quantile(sizes, COLOR_LIMIT_QUANTILE)) if sizes.size else 0.0) or 1.0
    # All on one axes: the layout of 64 takes a second.
    axes = figure.subplots()
    axes.set_axis_off()
    cmap = style.evidence_cmap()
    scale = ScalarMappable(Normalize(-limit, limit), cmap)
    gap = 0.08 * width
    line_gap = 0.25 * height if digits else gap
    for position, unit in enumerate(shown):
        line, column = divmod(position, columns)
        left, top = column * (width + gap), line * (height + line_gap)
        if digits:
            axes.text(left + width / 2, top - gap / 2, str(position), ha="center", va="bottom")
        _show_at(axes, unit, (left, top), cmap, (-limit, limit))
    axes.set(
        xlim=(0, columns * (width + gap) - gap), ylim=(lines * (height + line_gap) - line_gap, 0)
    )
    shrink = min(1.0, 4 / lines)
    figure.colorbar(scale, ax=axes, label="weight", extend="both", shrink=shrink, aspect=25)
    return figure


@style.styled
def examples(
    images: Sequence[Images],
    headings: Sequence[str],
    probabilities: Sequence[Sequence[float] | None],
    labels: Sequence[int | None],
    title: str,
) -> Figure:
    """Plot (28, 28) images, and beside each the (10,) probabilities of the digits as bars.

    The bar of a prediction that differs from the label is orange. Without probabilities there are
    only images.
    """
    columns = 3 if probabilities[0] is None else 2
    rows = math.ceil(len(images) / 3) if probabilities[0] is None else len(images)
    figure = style.new_figure(style.WIDTH, 0.4 + 2.8 * rows, title)
    cells = iter(_grid(figure, rows, columns))
    for image, heading, shares, label in zip(images, headings, probabilities, labels, strict=True):
        axes = next(cells)
        style.show_digit(axes, image)
        axes.set_title(heading, fontsize=9.5)
        if shares is not None:
            _plot_probabilities(next(cells), shares, label)
    return figure


def first_of_each_class(labels: Labels) -> NDArray[np.intp]:
    """Return the first row of each digit that occurs, in order of the digits."""
    _, first = np.unique(labels, return_index=True)
    return np.asarray(first, np.intp)


@style.styled
def augmented_digits(images: Images, copies: Images, recipe: str, amounts: str) -> Figure:
    """Plot each image beside its augmented copies, with its outline over the copies.

    There are 1 to 10 images; ``copies`` are (c, n, 28, 28) uint8. ``amounts`` describes in words
    how far images are moved.
    """
    count, lines = len(copies), len(images)
    width, height = 0.35 + 0.82 * (count + 1), 1.75 + 0.76 * lines
    note = (
        "The network is trained on copies like these, drawn again for each image and epoch: "
        "uniformly within ±, normally with σ. The orange line is the outline of the original."
    )
    figure = style.new_figure(width, height, f"Augmentation of recipe {recipe}", note)
    axes = figure.subplots()
    first = SIDE + GAP
    mosaic = np.zeros((lines * SIDE, first + count * SIDE), np.uint8)
    for line, image in enumerate(images):
        top = line * SIDE
        mosaic[top : top + SIDE, :SIDE] = image
        for position, copy in enumerate(copies[:, line]):
            left = first + position * SIDE
            mosaic[top : top + SIDE, left : left + SIDE] = copy
            if image.max() > HALF_INK:
                x, y = np.arange(left, left + SIDE), np.arange(top, top + SIDE)
                axes.contour(x, y, image, [HALF_INK], colors=style.VAL_COLOR, linewidths=0.6)
    style.show_digit(axes, mosaic)
    axes.spines[:].set_visible(False)
    # Frames around every cell, but not across the gap.
    edges = np.array([0, SIDE, *range(first, first + count * SIDE + 1, SIDE)]) - 0.5
    axes.vlines(edges, -0.5, lines * SIDE - 0.5, style.GRID_COLOR, linewidth=0.8)
    heights = np.arange(lines + 1) * SIDE - 0.5
    for left, right in ((0, SIDE), (first, first + count * SIDE)):
        axes.hlines(heights, left - 0.5, right - 0.5, style.GRID_COLOR, linewidth=0.8)
    axes.text(SIDE / 2, -3, "original", ha="center", va="bottom")
    axes.text(first, -3, f"{count} copies", ha="left", va="bottom")
    axes.set_title(amounts, pad=24)
    return figure


@style.styled
def preprocessing_steps(
    name: str, pictures: Mapping[str, NDArray[np.float32]], probabilities: NDArray[np.float32]
) -> Figure:
    """Plot each step of the preprocessing of a picture, and the predicted probabilities.

    ``pictures`` are step → float32, 0 to 1: first the input, (h, w, 3), then ink, (h, w), 0 for
    background. ``probabilities``, (10,) float32, are all 0 if no digit was found.
    """
    figure = style.new_figure(2.1 * (len(pictures) + 1.2), 2.9, f"How {name} is read", squares=True)
    ratios = [1.0] * len(pictures) + [1.25]
    *grid, bars = figure.subplots(1, len(ratios), width_ratios=ratios)
    for axes, (step, values) in zip(grid, pictures.items(), strict=True):
        shown = values if step == "picture" else 1 - values
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
        style.hide_ticks(axes)
        # All steps are squares of one size, also those of a narrow picture.
        y, x = ((side - 1) / 2 for side in values.shape[:2])
        half = max(values.shape[:2]) / 2
        axes.set(title=step.capitalize(), xlim=(x - half, x + half), ylim=(y + half, y - half))
        axes.set_xlabel(STEP_NOTES[step], color=style.MUTED_COLOR, fontsize=8.5)
    _plot_probabilities(bars, probabilities)
    bars.set_title("Prediction")
    return figure


def _plot_probabilities(
    axes: Axes, probabilities: Sequence[float] | NDArray[np.float32], label: int | None = None
) -> None:
    """Draw a bar for each digit; a prediction that differs from the label is orange."""
    axes.set_axis_on()
    shares = 100 * np.asarray(probabilities)
    bars = axes.barh(range(CLASSES), shares, color=style.ACCENT_COLOR, height=0.7)
    if label not in (None, predicted := int(shares.argmax())):
        bars[predicted].set_color(style.VAL_COLOR)
    axes.set(xlabel="probability (%)", xlim=(0, 100), yticks=range(CLASSES))
    axes.set_ylim(CLASSES - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    if not shares.any():
        axes.text(50, 4.5, "no digit found", ha="center", va="center", color=style.MUTED_COLOR)


@style.styled
def boxed_digits(
    name: str,
    picture: NDArray[np.uint8],
    scale: float,
    digits: Sequence[tuple[int, float, tuple[int, ...]]],
) -> Figure:
    """Plot a picture, (h, w, 3), with the box of each digit.

    ``digits`` are digit, confidence and box: left, top, right, bottom in pixels of the picture
    before it was scaled by ``scale``. Digits of less than 90 % confidence get a question mark.
    """
    from matplotlib.patches import Rectangle

    height, width = picture.shape[:2]
    size = 8.6 / max(height, width)
    note = "" if digits else "No digit was found."
    figure = style.new_figure(
        max(3.5, size * width), size * height + 0.6, f"The digits on {name}", note, squares=True
    )
    axes = figure.subplots()
    axes.imshow(picture)
    style.hide_ticks(axes)
    frame: dict[str, Any] = {"fill": False, "edgecolor": style.VAL_COLOR, "linewidth": 1.5}
    background = {"facecolor": style.VAL_COLOR, "edgecolor": "none", "pad": 1}
    for digit, confidence, box in digits:
        left, top, right, bottom = (scale * side for side in box)
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, **frame))
        label = f"{digit}" if confidence >= SURE else f"{digit}?"
        axes.text(left, top, label, va="bottom", color="white", fontsize=9, bbox=background)
    return figure


def _predictions(
    images: Images, predictions: Sequence[Prediction], headings: list[str], title: str, note: str
) -> Figure:
    """Plot images under their headings, each with its confidence and line of train.csv."""
    lines = -(-len(predictions) // PREDICTION_COLUMNS)
    figure = style.new_figure(style.WIDTH, 1.1 + 1.72 * lines, title, note)
    axes = figure.subplots()  # one for all: the layout of 24 takes half a second
    axes.set_axis_off()
    for position, (prediction, heading) in enumerate(zip(predictions, headings, strict=True)):
        left, top = _corner(position)
        _show_at(axes, images[prediction.row], (left, top), style.DIGIT_CMAP, (0, 255))
        middle = left + SIDE / 2
        axes.text(middle, top - 1.5, heading, ha="center", fontsize=10.5, fontweight="bold")
        caption = f"{prediction.confidence_text}\nline {prediction.line}"
        below: dict[str, Any] = {"ha": "center", "va": "top", "color": style.MUTED_COLOR}
        axes.text(middle, top + SIDE + 1.5, caption, fontsize=8.5, **below)
    heading_height = 7
    axes.set_anchor("NW")
    # This also ends the automatic range, which what is drawn later would change.
    axes.set_xlim(0, (PREDICTION_COLUMNS - 1) * CELL_WIDTH + SIDE)
    axes.set_ylim(lines * CELL_HEIGHT - heading_height, -heading_height)
    return figure


def _corner(position: int) -> tuple[int, int]:
    """Return left and top of the image number ``position`` of ``_predictions``, in pixels."""
    line, column = divmod(position, PREDICTION_COLUMNS)
    return column * CELL_WIDTH, line * CELL_HEIGHT


def _show_at(
    axes: Axes,
    values: NDArray[Any],
    corner: tuple[float, float],
    cmap: Any,
    limits: tuple[float, float],
) -> None:
    """Show (h, w) values between ``limits`` in a thin frame, with left and top at ``corner``.

    Rows run downwards, so the caller inverts the y axis; it also sets the range of the axes.
    """
    from matplotlib.patches import Rectangle

    (height, width), (left, top), (low, high) = values.shape, corner, limits
    box = (left, left + width, top + height, top)
    axes.imshow(values, cmap=cmap, vmin=low, vmax=high, extent=box)
    frame = Rectangle(corner, width, height, fill=False, clip_on=False)
    frame.set(edgecolor=style.GRID_COLOR, linewidth=0.8)
    axes.add_patch(frame)


def _grid(figure: Figure, lines: int, columns: int) -> list[Axes]:
    """Add lines × columns axes, invisible until something is drawn on them."""
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes in grid:
        axes.set_axis_off()
    return grid
