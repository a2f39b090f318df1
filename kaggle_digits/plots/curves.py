"""Learning curves: loss and accuracy by epoch."""

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
    """Plot training and validation loss and accuracy: members thin, their mean bold.

    Args:
        history: rows of history.csv: member, epoch, loss, accuracy, val_loss, val_accuracy;
            NaN for a missing value.
    """
    members = len({row["member"] for row in history})
    note = (
        f"Thin lines: {members} members. Bold: their mean, up to the last epoch of the shortest."
        if members > 1
        else "An epoch is one pass over the training rows."
    )
    figure = style.new_figure(9.6, 4.8, "Learning curves", note)
    panels = figure.subplots(1, 2)
    for axes, key, label, scale in zip(
        panels, ("loss", "accuracy"), ("loss (nats)", "accuracy (%)"), (1.0, 100.0), strict=True
    ):
        for column, name, color in (
            (key, "training", style.TRAIN_COLOR),
            (f"val_{key}", "validation", style.VAL_COLOR),
        ):
            _plot(axes, _curves(history, column, scale), name, color)
        axes.set(xlabel="epoch", ylabel=label, title=key.capitalize())
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid()
        if axes.lines:
            corner = "upper right" if key == "loss" else "lower right"
            axes.legend(loc=corner, frameon=True, framealpha=0.9, edgecolor=style.BACKGROUND)
        else:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center")
    return figure


def _curves(history: History, column: str, scale: float) -> list[Curve]:
    """Return (epochs, values) of each member that has ``column``; epochs counted from 1."""
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


def _plot(axes: Axes, curves: list[Curve], name: str, color: str) -> None:
    if len(curves) > 1:
        for epochs, values in curves:
            axes.plot(epochs, values, color=color, linewidth=0.8, alpha=0.45)
        common = np.array(sorted(set.intersection(*(set(epochs) for epochs, _ in curves))))
        means = [
            np.mean([values[np.searchsorted(epochs, epoch)] for epochs, values in curves])
            for epoch in common
        ]
        axes.plot(common, means, color=color, linewidth=2.4, label=name)
    elif curves:
        axes.plot(*curves[0], color=color, linewidth=2.4, label=name)
