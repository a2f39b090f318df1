"""Figures that several studies draw: grids of digits, line charts and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaggle_digits.metrics.classification import compute_metrics
from kaggle_digits.plots import charts, style
from kaggle_digits.plots.digit_grids import Labels
from kaggle_digits.runs.run import Probabilities
from kaggle_digits.studies.study import StudyOutput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Line(NamedTuple):
    """A line of a chart; without a label it is not in the legend."""

    x: ArrayLike
    y: ArrayLike
    color: str
    format: str = "-"
    label: str = ""


@style.styled
def digit_grid(
    images: NDArray[Any],
    captions: Sequence[str],
    title: str,
    *,
    highlighted: Sequence[bool] | NDArray[np.bool_] | None = None,
    max_value: int = 255,
) -> Figure:
    """Draw a square number of images, (n, h, w), in a square grid.

    The captions in ``highlighted``, (n,) booleans, are orange. ``max_value`` is full ink.
    """
    side = int(len(images) ** 0.5)
    figure = style.new_figure(5.6, 6.5, title)
    grid = figure.subplots(side, side)
    if highlighted is None:
        highlighted = [False] * len(images)
    for axes, image, caption, orange in zip(grid.flat, images, captions, highlighted, strict=True):
        axes.imshow(image, cmap=style.DIGIT_CMAP, vmin=0, vmax=max_value)
        color = style.VAL_COLOR if orange else style.TEXT_COLOR
        axes.set_title(caption, loc="center", color=color)
        style.hide_ticks(axes)
    return figure


@style.styled
def line_chart(
    lines: Sequence[Line],
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    note: str = "",
    log_scale: bool = False,
    marked_x: float | None = None,
) -> Figure:
    """Draw lines into one chart; ``marked_x`` is the position of a dashed vertical line."""
    figure = style.new_figure(8, 4.8, title, note)
    axes = figure.subplots()
    if marked_x is not None:
        axes.axvline(marked_x, color=style.MUTED_COLOR, linewidth=1, linestyle=style.DASHED)
    plot_lines(axes, lines, xlabel, ylabel)
    if log_scale:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    return figure


def plot_lines(axes: Axes, lines: Sequence[Line], xlabel: str, ylabel: str) -> None:
    """Draw lines, grid, axis labels and, if lines have labels, a legend."""
    for line in lines:
        label = line.label or None
        axes.plot(line.x, line.y, line.format, color=line.color, linewidth=1.8, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid()
    if any(line.label for line in lines):
        axes.legend(frameon=True, framealpha=0.9, edgecolor=style.BACKGROUND)


def add_confusion(
    output: StudyOutput, name: str, model: str, probabilities: Probabilities, labels: Labels
) -> None:
    """Add the confusion matrix of a model."""
    figure = charts.confusion_matrix(compute_metrics(probabilities, labels).confusion)
    explanation = "Rows are labels, columns predictions; orange cells are errors."
    output.add_figure(name, f"Confusion matrix: {model}", explanation, figure)
