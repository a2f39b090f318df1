"""How a training went, drawn: rows of history in, Figure out; the caller saves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[dict[str, float]]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


@style.styled
def learning_curves(history: History) -> Figure:
    """Loss and accuracy by epoch, training and validation; members thin, their mean bold.

    Args:
        history: rows of history.csv: member, epoch, loss, accuracy, val_loss, val_accuracy;
            NaN where a figure is missing.
    """
    members = len({row["member"] for row in history})
    note = (
        f"Thin lines: {members} members; bold: their mean, as far as all of them trained."
        if members > 1
        else "An epoch is one pass over the training rows."
    )
    figure = style.new_figure(9.6, 4.8, "How the training went", note)
    panels = figure.subplots(1, 2)
    for axes, key, label, scale in zip(
        panels, ("loss", "accuracy"), ("loss (nats)", "accuracy (%)"), (1.0, 100.0), strict=True
    ):
        for column, name, colour in (
            (key, "training", style.TRAIN_COLOR),
            (f"val_{key}", "validation", style.VAL_COLOR),
        ):
            _curve(axes, _curves(history, column, scale), name, colour)
        axes.set(xlabel="epoch", ylabel=label, title=key.capitalize())
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid()
        if axes.lines:
            where = "upper right" if key == "loss" else "lower right"
            axes.legend(loc=where, frameon=True, framealpha=0.9, edgecolor=style.BACKGROUND)
        else:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center")
    return figure


def _curves(history: History, column: str, scale: float) -> list[Curve]:
    """(epochs, values) of each member that has ``column``; epochs counted from 1."""
    first = min((row["epoch"] for row in history), default=1)
    curves = []
    for member in sorted({row["member"] for row in history}):
        points = sorted(
            (row["epoch"] - first + 1, scale * row[column])
            for row in history
            if row["member"] == member and np.isfinite(row.get(column, np.nan))
        )
        if points:
            epochs, values = np.array(points).T
            curves.append((epochs, values))
    return curves


def _curve(axes: Axes, curves: list[Curve], name: str, colour: str) -> None:
    if len(curves) > 1:
        for epochs, values in curves:
            axes.plot(epochs, values, color=colour, linewidth=0.8, alpha=0.45)
        shared = set.intersection(*(set(epochs) for epochs, _ in curves))
        common = np.array(sorted(shared))
        means = [
            np.mean([values[np.searchsorted(epochs, epoch)] for epochs, values in curves])
            for epoch in common
        ]
        axes.plot(common, means, color=colour, linewidth=2.4, label=name)
    elif curves:
        axes.plot(*curves[0], color=colour, linewidth=2.4, label=name)
