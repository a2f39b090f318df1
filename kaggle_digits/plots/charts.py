"""Charts of data and of what a model did: arrays in, Figure out; the caller saves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.metrics.calibration import BINS, CalibrationCurve
from kaggle_digits.metrics.classification import ClassMetrics
from kaggle_digits.metrics.mcnemar import McNemarResult
from kaggle_digits.metrics.scores import Score, wilson_interval
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

DIGIT_NAMES = [str(digit) for digit in range(CLASSES)]


@style.styled
def class_balance(counts: NDArray[np.integer]) -> Figure:
    """How many images of each digit there are.

    Args:
        counts: (10,) whole numbers.
    """
    total = int(counts.sum())
    figure = style.new_figure(
        8,
        4.8,
        "Images of each digit",
        f"{total:,} labelled images; the dashed line is an equal share of {total / CLASSES:,.0f}.",
    )
    axes = figure.subplots()
    axes.bar(DIGIT_NAMES, counts, color=style.DIGIT_COLORS, width=0.75)
    axes.axhline(total / CLASSES, color=style.TEXT_COLOR, linewidth=1, linestyle=(0, (4, 3)))
    for digit, count in enumerate(counts):
        axes.annotate(
            f"{count:,}\n{100 * count / total:.1f} %",
            (digit, max(float(count), total / CLASSES)),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            linespacing=1.25,
        )
    axes.set_ylim(0, 1.2 * max(counts.max(), total / CLASSES))
    axes.set(xlabel="digit", ylabel="images")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


@style.styled
def confusion_matrix(matrix: NDArray[np.integer]) -> Figure:
    """The confusion matrix, mistakes on a colour scale of their own, right answers grey.

    One scale for both would show 4,000 right answers and no mistake.

    Args:
        matrix: (10, 10) counts, rows true, columns predicted.
    """
    mistakes = matrix * (1 - np.eye(CLASSES, dtype=np.int64))
    wrong, total = int(mistakes.sum()), int(matrix.sum())
    figure = style.new_figure(
        8,
        7.8,
        f"{wrong:,} mistakes in {total:,} answers",
        "Each row is what was written, each column what the model read. Grey: right. "
        "Orange: mistakes,\ndarker where there are more; an empty square was never mistaken so.",
    )
    axes = figure.subplots()
    highest = max(1, int(mistakes.max()))
    shades = np.ma.masked_equal(mistakes, 0)
    # The lightest fifth of the scale is left out: a single mistake must be seen.
    axes.imshow(shades, cmap=style.ERROR_CMAP, vmin=-0.25 * highest, vmax=highest)
    for true in range(CLASSES):
        axes.add_patch(_square(true, true, style.DIAGONAL_COLOR))
        for read in range(CLASSES):
            if count := int(matrix[true, read]):
                dark = true != read and count > 0.6 * highest
                axes.text(
                    read,
                    true,
                    f"{count:,}",
                    ha="center",
                    va="center",
                    color=style.BACKGROUND if dark else style.TEXT_COLOR,
                    fontsize=10,
                )
        right, rows = int(matrix[true, true]), int(matrix[true].sum())
        share = f"{100 * right / rows:.1f} %" if rows else "–"
        axes.text(CLASSES - 0.3, true, share, va="center", fontsize=9.5, color=style.MUTED_COLOR)
    axes.text(CLASSES - 0.3, -0.75, "right", va="center", fontsize=9.5, color=style.MUTED_COLOR)
    axes.set_xticks(range(CLASSES), DIGIT_NAMES)
    axes.set_yticks(range(CLASSES), DIGIT_NAMES)
    axes.set_xticks(np.arange(CLASSES + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(CLASSES + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=style.GRID_COLOR, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="read by the model", ylabel="written (label)")
    return figure


@style.styled
def reliability_diagram(calibration: CalibrationCurve) -> Figure:
    """Confidence against accuracy in 15 bins, and how many answers lie in each.

    Args:
        calibration: from metrics.calibration.
    """
    figure = style.new_figure(
        7,
        7.6,
        "Is it as often right as it believes?",
        f"Expected calibration error {calibration.error:.4f} (Guo et al. 2017, {BINS} bins). "
        "Above the line: too modest;\nbelow: too sure. Bars are 95 % intervals; small bins "
        "tell little.",
    )
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    filled = np.flatnonzero(calibration.counts)
    confidence, accuracy = calibration.confidence[filled], calibration.accuracy[filled]
    counts = calibration.counts[filled]
    rights = np.rint(accuracy * counts).astype(int)
    intervals = [wilson_interval(int(r), int(n)) for r, n in zip(rights, counts, strict=True)]
    low, high = np.array(intervals).T
    above.plot([0, 100], [0, 100], color=style.MUTED_COLOR, linewidth=1, linestyle=(0, (4, 3)))
    above.annotate(
        "as right as sure",
        (1, 1),
        (2, 5),
        textcoords="offset points",
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
        fontsize=9,
        color=style.MUTED_COLOR,
    )
    above.errorbar(
        100 * confidence,
        100 * accuracy,
        yerr=100 * np.clip([accuracy - low, high - accuracy], 0, None),
        fmt="o",
        color=style.TRAIN_COLOR,
        markersize=6,
        linewidth=1.4,
        capsize=0,
    )
    above.set(ylabel="answers that are right (%)", ylim=(-4, 104))
    above.grid()
    centres = (np.arange(BINS) + 0.5) * 100 / BINS
    below.bar(centres, calibration.counts, width=100 / BINS - 0.8, color=style.TRAIN_COLOR)
    below.set_yscale("symlog", linthresh=1)
    below.set_ylim(0, 3 * calibration.counts.max())
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.set(xlabel="confidence of the answer (%)", ylabel="answers", xlim=(0, 101))
    below.grid(axis="y")
    return figure


@style.styled
def class_accuracy(classes: Sequence[ClassMetrics], overall: float) -> Figure:
    """The accuracy on each digit with its 95 % Wilson interval.

    Args:
        classes: one entry a digit.
        overall: accuracy on all rows, 0 to 1.
    """
    figure = style.new_figure(
        8,
        5,
        "Accuracy on each digit",
        f"Lines are 95 % Wilson intervals; dashed: all digits together, {100 * overall:.2f} %.",
    )
    axes = figure.subplots()
    axes.axvline(100 * overall, color=style.TEXT_COLOR, linewidth=1, linestyle=(0, (4, 3)))
    for item in classes:
        if item.recall is None or item.ci95 is None:
            continue
        low, high = item.ci95
        axes.plot(
            [100 * low, 100 * high],
            [item.digit, item.digit],
            color=style.DIGIT_COLORS[item.digit],
            linewidth=3,
            solid_capstyle="round",
        )
        axes.plot(
            100 * item.recall,
            item.digit,
            "o",
            color=style.DIGIT_COLORS[item.digit],
            markeredgecolor=style.TEXT_COLOR,
            markersize=9,
        )
    labels = [
        f"{100 * item.recall:.2f} %  of {item.support:,}" if item.recall is not None else "no rows"
        for item in classes
    ]
    axes.set_yticks(range(CLASSES), DIGIT_NAMES)
    axes.set_ylim(CLASSES - 0.5, -0.5)
    axes.margins(x=0.06)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(CLASSES), labels)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="accuracy (%)", ylabel="digit")
    return figure


@style.styled
def embedding(
    points: NDArray[np.floating], labels: NDArray[np.integer], title: str, note: str
) -> Figure:
    """A point an image; each digit's name stands in the middle of its points.

    Args:
        points: (n, 2).
        labels: (n,) 0 to 9.
        title: above the picture.
        note: below it.
    """
    figure = style.new_figure(8.4, 7.6, title, note)
    axes = figure.subplots()
    order = np.random.default_rng(0).permutation(len(points))  # no digit lies over all others
    axes.scatter(
        points[order, 0],
        points[order, 1],
        c=np.array(style.DIGIT_COLORS)[labels[order]],
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
                    "facecolor": style.BACKGROUND,
                    "edgecolor": style.DIGIT_COLORS[digit],
                    "linewidth": 2,
                },
            )
    low, high = np.quantile(points, [0.001, 0.999], axis=0)
    room = 0.06 * (high - low)
    axes.set_xlim(low[0] - room[0], high[0] + room[0])
    axes.set_ylim(low[1] - room[1], high[1] + room[1])
    axes.set(xlabel="first", ylabel="second")
    return figure


@style.styled
def run_comparison(
    names: Sequence[str], scores: Sequence[Score], tests: Sequence[McNemarResult | None]
) -> Figure:
    """Draw the accuracy of each run, and the rows on which it differs from the best run.

    Args:
        names: of the runs, the best first.
        scores: of the runs, all on the same rows.
        tests: McNemar's test of the best run against each; None for the best itself.
    """
    figure = style.new_figure(
        9.6,
        2.3 + 0.55 * len(names),
        f"{len(names)} runs on the same {scores[0].n:,} held-out rows",
        "Left: accuracy with its 95 % Wilson interval. Right: rows that only one of the two runs "
        "predicts correctly;\np is from McNemar's exact test, below 0.05 the difference is "
        "significant.",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    for place, (score, test) in enumerate(zip(scores, tests, strict=True)):
        low, high = score.ci95
        accuracy = 100 * score.accuracy
        left.plot([100 * low, 100 * high], [place] * 2, color=style.TRAIN_COLOR, linewidth=2.5)
        left.plot(accuracy, place, "o", color=style.TRAIN_COLOR, markersize=8)
        _annotate(left, f"{accuracy:.2f} %", (accuracy, place), (0, 8), ha="center")
        if test is None:
            _annotate(right, "best", (0, place), (6, 0), va="center", color=style.MUTED_COLOR)
            continue
        right.barh(place, test.gained, height=0.45, color=style.TRAIN_COLOR)
        right.barh(place, -test.lost, height=0.45, color=style.VAL_COLOR)
        gained = f"{test.gained:,}   p = {test.p_value:.2g}"
        _annotate(right, gained, (test.gained, place), (5, 0), va="center")
        _annotate(right, f"{test.lost:,}", (-test.lost, place), (-5, 0), va="center", ha="right")
    right.axvline(0, color=style.TEXT_COLOR, linewidth=0.8)
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set(xlabel="accuracy (%)")
    right.set(xlabel=f"rows only this run predicts correctly  |  only {names[0]}")
    right.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    right.margins(x=0.45)
    left.margins(x=0.12)
    left.grid(axis="x")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
    return figure


def _annotate(
    axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float], **kwargs: Any
) -> None:
    """Write ``text`` at ``offset`` points from the data ``point``."""
    axes.annotate(text, point, offset, textcoords="offset points", fontsize=9, **kwargs)


def _square(column: int, row: int, colour: str) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, color=colour, linewidth=0)
