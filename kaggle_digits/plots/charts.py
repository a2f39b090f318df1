"""Charts of data and of what a model did: arrays in, Figure out; the caller saves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.metrics.classification import BINS, Calibration, ClassScore
from kaggle_digits.metrics.scores import wilson
from kaggle_digits.plots import style

if TYPE_CHECKING:
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
    figure = style.blank(
        8,
        4.8,
        "Images of each digit",
        f"{total:,} labelled images; the dashed line is an equal share of {total / CLASSES:,.0f}.",
    )
    axes = figure.subplots()
    axes.bar(DIGIT_NAMES, counts, color=style.DIGITS, width=0.75)
    axes.axhline(total / CLASSES, color=style.INK, linewidth=1, linestyle=(0, (4, 3)))
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
def confusion(matrix: NDArray[np.integer]) -> Figure:
    """The confusion matrix, mistakes on a colour scale of their own, right answers grey.

    One scale for both would show 4,000 right answers and no mistake.

    Args:
        matrix: (10, 10) counts, rows true, columns predicted.
    """
    mistakes = matrix * (1 - np.eye(CLASSES, dtype=np.int64))
    wrong, total = int(mistakes.sum()), int(matrix.sum())
    figure = style.blank(
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
    axes.imshow(shades, cmap=style.ERROR_MAP, vmin=-0.25 * highest, vmax=highest)
    for true in range(CLASSES):
        axes.add_patch(_square(true, true, style.DIAGONAL))
        for read in range(CLASSES):
            if count := int(matrix[true, read]):
                dark = true != read and count > 0.6 * highest
                axes.text(
                    read,
                    true,
                    f"{count:,}",
                    ha="center",
                    va="center",
                    color=style.PAPER if dark else style.INK,
                    fontsize=10,
                )
        right, rows = int(matrix[true, true]), int(matrix[true].sum())
        share = f"{100 * right / rows:.1f} %" if rows else "–"
        axes.text(CLASSES - 0.3, true, share, va="center", fontsize=9.5, color=style.MUTED)
    axes.text(CLASSES - 0.3, -0.75, "right", va="center", fontsize=9.5, color=style.MUTED)
    axes.set_xticks(range(CLASSES), DIGIT_NAMES)
    axes.set_yticks(range(CLASSES), DIGIT_NAMES)
    axes.set_xticks(np.arange(CLASSES + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(CLASSES + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=style.FAINT, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="read by the model", ylabel="written (label)")
    return figure


@style.styled
def reliability(calibration: Calibration) -> Figure:
    """Confidence against accuracy in 15 bins, and how many answers lie in each.

    Args:
        calibration: from metrics.calibration.
    """
    figure = style.blank(
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
    intervals = [wilson(int(r), int(n)) for r, n in zip(rights, counts, strict=True)]
    low, high = np.array(intervals).T
    above.plot([0, 100], [0, 100], color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)))
    above.annotate(
        "as right as sure",
        (1, 1),
        (2, 5),
        textcoords="offset points",
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
        fontsize=9,
        color=style.MUTED,
    )
    above.errorbar(
        100 * confidence,
        100 * accuracy,
        yerr=100 * np.clip([accuracy - low, high - accuracy], 0, None),
        fmt="o",
        color=style.TRAINING,
        markersize=6,
        linewidth=1.4,
        capsize=0,
    )
    above.set(ylabel="answers that are right (%)", ylim=(-4, 104))
    above.grid()
    centres = (np.arange(BINS) + 0.5) * 100 / BINS
    below.bar(centres, calibration.counts, width=100 / BINS - 0.8, color=style.TRAINING)
    below.set_yscale("symlog", linthresh=1)
    below.set_ylim(0, 3 * calibration.counts.max())
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.set(xlabel="confidence of the answer (%)", ylabel="answers", xlim=(0, 101))
    below.grid(axis="y")
    return figure


@style.styled
def class_accuracy(classes: Sequence[ClassScore], overall: float) -> Figure:
    """The accuracy on each digit with its 95 % Wilson interval.

    Args:
        classes: one entry a digit.
        overall: accuracy on all rows, 0 to 1.
    """
    figure = style.blank(
        8,
        5,
        "Accuracy on each digit",
        f"Lines are 95 % Wilson intervals; dashed: all digits together, {100 * overall:.2f} %.",
    )
    axes = figure.subplots()
    axes.axvline(100 * overall, color=style.INK, linewidth=1, linestyle=(0, (4, 3)))
    for item in classes:
        if item.recall is None or item.ci95 is None:
            continue
        low, high = item.ci95
        axes.plot(
            [100 * low, 100 * high],
            [item.digit, item.digit],
            color=style.DIGITS[item.digit],
            linewidth=3,
            solid_capstyle="round",
        )
        axes.plot(
            100 * item.recall,
            item.digit,
            "o",
            color=style.DIGITS[item.digit],
            markeredgecolor=style.INK,
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


def _square(column: int, row: int, colour: str) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, color=colour, linewidth=0)
