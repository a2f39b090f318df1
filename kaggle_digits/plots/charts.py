"""Charts of the data, of trainings, of metrics and of embeddings: arrays in, Figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaggle_digits.data.digits import CLASSES, Labels
from kaggle_digits.metrics.calibration import BINS, CalibrationCurve
from kaggle_digits.metrics.classification import ClassMetrics
from kaggle_digits.metrics.scores import McNemarResult, Score, wilson_interval
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[dict[str, float]]
DIGIT_NAMES = [str(digit) for digit in range(CLASSES)]


@style.styled
def class_balance(counts: NDArray[np.integer]) -> Figure:
    """Plot the number of images of each digit, (10,) integers, as bars."""
    total = int(counts.sum())
    equal_share = total / CLASSES
    note = f"{total:,} labelled images; the dashed line is an equal share of {equal_share:,.0f}."
    figure = style.new_figure(style.WIDTH, 4.6, "Images of each digit", note)
    axes = figure.subplots()
    axes.bar(DIGIT_NAMES, counts, color=style.ACCENT_COLOR, width=0.75)
    axes.axhline(equal_share, color=style.TEXT_COLOR, linewidth=1, linestyle=style.DASHED)
    for digit, count in enumerate(counts):
        text = f"{count:,}\n{100 * count / total:.1f} %"
        top = max(float(count), equal_share)
        _annotate(axes, text, (digit, top), (0, 6), ha="center", linespacing=1.25)
    axes.set(xlabel="digit", ylabel="images", ylim=(0, 1.2 * max(counts.max(), equal_share)))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


@style.styled
def confusion_matrix(matrix: NDArray[np.integer]) -> Figure:
    """Plot a (10, 10) confusion matrix, rows true labels, with colours for errors only.

    One colour scale for all cells would show 4,000 correct predictions and no error.
    """
    from matplotlib.patches import Rectangle

    errors = matrix * (1 - np.eye(CLASSES, dtype=np.int64))
    title = f"{int(errors.sum()):,} errors in {int(matrix.sum()):,} predictions"
    note = (
        "Each row is a true label, each column a prediction. Grey: correct. Orange: errors, darker "
        "for more of them; white: no error of this kind."
    )
    figure = style.new_figure(style.WIDTH, 7.4, title, note)
    axes = figure.subplots()
    highest = max(1, int(errors.max()))
    # Without the lightest fifth of the colormap, so that a single error is visible.
    colors = np.ma.masked_equal(errors, 0)
    axes.imshow(colors, cmap=style.ERROR_CMAP, vmin=-0.25 * highest, vmax=highest)
    margin: dict[str, Any] = {"va": "center", "fontsize": 9.5, "color": style.MUTED_COLOR}
    axes.text(CLASSES - 0.3, -0.75, "correct", **margin)
    # Texts inside the axes do not change the layout, but measuring them takes time.
    middle: dict[str, Any] = {"ha": "center", "va": "center", "in_layout": False}
    for label in range(CLASSES):
        corner = (label - 0.5, label - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, color=style.DIAGONAL_COLOR, linewidth=0))
        for predicted in range(CLASSES):
            count = int(matrix[label, predicted])
            dark = label != predicted and count > 0.6 * highest
            color = style.BACKGROUND if dark else style.TEXT_COLOR
            if count:
                axes.text(predicted, label, f"{count:,}", color=color, **middle)
        rows = int(matrix[label].sum())
        recall = f"{100 * matrix[label, label] / rows:.2f} %" if rows else "–"
        axes.text(CLASSES - 0.3, label, recall, **margin)
    axes.set_xticks(range(CLASSES), DIGIT_NAMES)
    axes.set_yticks(range(CLASSES), DIGIT_NAMES)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.arange(CLASSES + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=style.GRID_COLOR, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="prediction", ylabel="label")
    return figure


@style.styled
def reliability_diagram(
    calibration: CalibrationCurve, uncalibrated: CalibrationCurve | None = None
) -> Figure:
    """Plot accuracy against confidence in 15 bins, and the number of predictions in each.

    ``uncalibrated`` is the curve before temperature scaling, drawn in grey behind the other if they
    differ.
    """
    if uncalibrated and uncalibrated.error == calibration.error:
        uncalibrated = None
    before = f", {uncalibrated.error:.4f} as trained" if uncalibrated else ""
    note = (
        f"Expected calibration error {calibration.error:.4f}{before} (Guo et al. 2017, {BINS} "
        "bins). Above the dashed line the model is underconfident, below it overconfident. "
        "Vertical lines are 95 % intervals: bins with few predictions are unreliable."
    )
    figure = style.new_figure(style.WIDTH, 6.8, "Reliability diagram", note)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 100], [0, 100], color=style.MUTED_COLOR, linewidth=1, linestyle=style.DASHED)
    rotated: dict[str, Any] = {"rotation_mode": "anchor", "transform_rotates_text": True}
    color = style.MUTED_COLOR
    _annotate(upper, "perfectly calibrated", (1, 1), (2, 5), color=color, rotation=45, **rotated)
    if uncalibrated:
        filled = np.flatnonzero(uncalibrated.counts)
        x, y = 100 * uncalibrated.confidence[filled], 100 * uncalibrated.accuracy[filled]
        upper.plot(x, y, "o", color=color, fillstyle="none", markersize=6, label="as trained")
    filled = np.flatnonzero(calibration.counts)
    accuracy, counts = calibration.accuracy[filled], calibration.counts[filled]
    correct = np.rint(accuracy * counts).astype(int)
    intervals = [wilson_interval(int(k), int(n)) for k, n in zip(correct, counts, strict=True)]
    low, high = np.array(intervals).T
    errors = 100 * np.clip([accuracy - low, high - accuracy], 0, None)
    dots: dict[str, Any] = {"fmt": "o", "markersize": 6, "linewidth": 1.4}
    dots |= {"color": style.ACCENT_COLOR, "label": "after temperature scaling"}
    upper.errorbar(100 * calibration.confidence[filled], 100 * accuracy, yerr=errors, **dots)
    if uncalibrated:
        upper.legend(loc="lower right")
    upper.set(ylabel="accuracy (%)", ylim=(-4, 104))
    upper.grid()
    centers = (np.arange(BINS) + 0.5) * 100 / BINS
    lower.bar(centers, calibration.counts, width=100 / BINS - 0.8, color=style.ACCENT_COLOR)
    lower.set_yscale("symlog", linthresh=1)
    lower.set_ylim(0, 3 * calibration.counts.max())
    lower.yaxis.set_major_formatter("{x:,.0f}")
    lower.set(xlabel="confidence (%)", ylabel="predictions", xlim=(0, 101))
    lower.grid(axis="y")
    return figure


@style.styled
def class_accuracy(classes: Sequence[ClassMetrics], overall: float) -> Figure:
    """Plot the accuracy on each digit with its interval, and the ``overall`` accuracy, 0 to 1."""
    note = f"Lines are 95 % Wilson intervals; dashed: all digits together, {100 * overall:.2f} %."
    figure = style.new_figure(style.WIDTH, 4.8, "Accuracy on each digit", note)
    axes = figure.subplots()
    axes.axvline(100 * overall, color=style.TEXT_COLOR, linewidth=1, linestyle=style.DASHED)
    labels = []
    for item in classes:
        if item.recall is None or item.ci95 is None:
            labels.append("no rows")
            continue
        labels.append(f"{100 * item.recall:.2f} %  of {item.support:,}")
        interval = [100 * bound for bound in item.ci95]
        axes.plot(interval, [item.digit] * 2, color=style.ACCENT_COLOR, linewidth=2.5)
        axes.plot(100 * item.recall, item.digit, "o", color=style.ACCENT_COLOR, markersize=8)
    axes.set_yticks(range(CLASSES), DIGIT_NAMES)
    axes.margins(x=0.06)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(CLASSES), labels)
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="accuracy (%)", ylabel="digit", ylim=(CLASSES - 0.5, -0.5))
    return figure


@style.styled
def run_comparison(
    names: Sequence[str], scores: Sequence[Score], tests: Sequence[McNemarResult | None]
) -> Figure:
    """Draw the accuracy of each run, the best first, and the rows where it differs from the best.

    ``tests`` are McNemar's tests of the best run against each, None for the best itself.
    """
    title = f"{len(names)} runs on the same {scores[0].n:,} held-out rows"
    note = (
        "Left: accuracy with its 95 % Wilson interval. Right: rows that only one of the two runs "
        "predicts correctly; p is from McNemar's exact test, below 0.05 the difference is "
        "significant."
    )
    figure = style.new_figure(style.WIDTH, 2.3 + 0.55 * len(names), title, note)
    left, right = figure.subplots(1, 2, sharey=True)
    for row, (score, test) in enumerate(zip(scores, tests, strict=True)):
        low, high = score.ci95
        accuracy = 100 * score.accuracy
        left.plot([100 * low, 100 * high], [row] * 2, color=style.ACCENT_COLOR, linewidth=2.5)
        left.plot(accuracy, row, "o", color=style.ACCENT_COLOR, markersize=8)
        _annotate(left, f"{accuracy:.2f} %", (accuracy, row), (0, 8), ha="center")
        if test is None:
            _annotate(right, "best", (0, row), (6, 0), va="center", color=style.MUTED_COLOR)
            continue
        right.barh(row, test.gained, height=0.45, color=style.ACCENT_COLOR)
        right.barh(row, -test.lost, height=0.45, color=style.VAL_COLOR)
        gained = f"{test.gained:,}   p {test.p_text}"
        _annotate(right, gained, (test.gained, row), (5, 0), va="center")
        _annotate(right, f"{test.lost:,}", (-test.lost, row), (-5, 0), va="center", ha="right")
    right.axvline(0, color=style.TEXT_COLOR, linewidth=0.8)
    left.set_yticks(range(len(names)), names)
    left.set(xlabel="accuracy (%)", ylim=(len(names) - 0.4, -0.6))
    right.set(xlabel="correct only with this run  |  with the best")
    right.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    right.margins(x=0.45)
    left.margins(x=0.12)
    left.grid(axis="x")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
    return figure


@style.styled
def embedding(points: NDArray[np.floating], labels: Labels, title: str, note: str) -> Figure:
    """Plot images as points of a plane, (n, 2), in the colour of their label.

    The name of each digit is written at the median of its points.
    """
    figure = style.new_figure(style.WIDTH, 7, title, note)
    axes = figure.subplots()
    order = np.random.default_rng(0).permutation(len(points))  # no digit covers all others
    colors = np.array(style.DIGIT_COLORS)[labels[order]]
    size = max(2.0, min(14.0, 40_000 / max(1, len(points))))
    x, y = points[order].T
    axes.scatter(x, y, c=colors, s=size, linewidth=0, alpha=0.7)
    box = {"boxstyle": "circle,pad=0.25", "facecolor": style.BACKGROUND, "linewidth": 2}
    font: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 13, "fontweight": "bold"}
    for digit in np.unique(labels):
        middle = tuple(np.median(points[labels == digit], axis=0))
        color = style.DIGIT_COLORS[digit]
        axes.annotate(str(digit), middle, bbox={**box, "edgecolor": color}, **font)
    low, high = np.quantile(points, [0.001, 0.999], axis=0)  # outliers are cut off
    margin = 0.06 * (high - low)
    xlim, ylim = np.column_stack([low - margin, high + margin])
    axes.set(xlabel="first dimension", ylabel="second dimension", xlim=xlim, ylim=ylim)
    return figure


def _annotate(
    axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float], **kwargs: Any
) -> None:
    """Write ``text`` at ``offset`` points from the data ``point``."""
    axes.annotate(text, point, offset, textcoords="offset points", fontsize=9, **kwargs)


@style.styled
def learning_curves(history: History) -> Figure:
    """Plot training and validation loss and accuracy: members thin, their mean bold.

    ``history`` are rows of history.csv: member, epoch, loss, accuracy, val_loss, val_accuracy; NaN
    for a missing value.
    """
    members = len({row["member"] for row in history})
    note = "An epoch is one pass over the training rows."
    if members > 1:
        note = f"Thin lines: {members} members. Bold: their mean, up to the end of the shortest."
    figure = style.new_figure(style.WIDTH, 4, "Learning curves", note)
    panels = figure.subplots(1, 2)
    values = (("loss", "log loss"), ("accuracy", "accuracy (%)"))
    for axes, (key, label) in zip(panels, values, strict=True):
        _plot_curves(axes, history, key, "training", style.TRAIN_COLOR)
        _plot_curves(axes, history, f"val_{key}", "validation", style.VAL_COLOR)
        axes.set(xlabel="epoch", ylabel=label)
        axes.locator_params(axis="x", integer=True)
        axes.grid()
        if axes.lines:
            corner = "upper right" if key == "loss" else "lower right"
            axes.legend(loc=corner, frameon=True, framealpha=0.9, edgecolor=style.BACKGROUND)
        else:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center")
    return figure


def _plot_curves(axes: Axes, history: History, column: str, name: str, color: str) -> None:
    """Draw the curve of each member that has ``column``, and their mean; epochs from 1."""
    scale = 100.0 if column.endswith("accuracy") else 1.0
    first = min((row["epoch"] for row in history), default=1)
    curves: dict[float, dict[float, float]] = {}  # member → epoch → value
    for row in sorted(history, key=lambda row: (row["member"], row["epoch"])):
        if np.isfinite(row.get(column, np.nan)):
            curve = curves.setdefault(row["member"], {})
            curve[row["epoch"] - first + 1] = scale * row[column]
    if not curves:
        return
    if len(curves) > 1:
        for curve in curves.values():
            axes.plot(*zip(*curve.items(), strict=True), color=color, linewidth=0.8, alpha=0.45)
    common = sorted(set.intersection(*map(set, curves.values())))
    means = [np.mean([curve[epoch] for curve in curves.values()]) for epoch in common]
    axes.plot(common, means, color=color, linewidth=2.4, label=name)


class Line(NamedTuple):
    """A line of a chart; without a label it is not in the legend."""

    x: ArrayLike
    y: ArrayLike
    color: str
    format: str = "-"
    label: str = ""


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
    figure = style.new_figure(style.WIDTH, 4.5, title, note)
    axes = figure.subplots()
    if marked_x is not None:
        axes.axvline(marked_x, color=style.MUTED_COLOR, linewidth=1, linestyle=style.DASHED)
    plot_lines(axes, lines, xlabel, ylabel)
    if all(np.issubdtype(np.asarray(line.x).dtype, np.integer) for line in lines):  # epochs
        axes.locator_params(axis="x", integer=True)
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
