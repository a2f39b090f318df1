"""A picture of a search: which settings mattered, and where the good values lie."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Value = float | int | str
COLUMNS, MOST_PANELS = 3, 9
# Losses beyond this many of the better half's spreads stand at the upper edge.
SPREADS = 4.0
FEW = 20
NARROWEST, LETTERS_AN_INCH = 6.4, 13.5
# Trials of one choice stand a little beside each other, so that none hides another.
APART = 0.06


@dataclass(frozen=True)
class Axis:
    """A setting that was varied.

    Attributes:
        name: of the setting.
        importance: share of the losses' variance that it explains, 0 to 1; NaN if unknown.
        log: whether factors count rather than differences.
        low: the least value, and
        high: the largest, of a range.
        choices: its values in order; None for a range of numbers.
        start: what the recipe had.
    """

    name: str
    importance: float
    log: bool
    low: float
    high: float
    choices: tuple[Value, ...] | None
    start: Value


@style.styled
def search_picture(
    axes: Sequence[Axis],
    finished: Sequence[Sequence[Value]],
    losses: NDArray[np.floating],
    given_up: Sequence[Sequence[Value]],
    study: str,
) -> Figure:
    """A panel a setting, the most important first: every trial's value against its log loss.

    Args:
        axes: the settings, the most important first; of more than nine the first nine are drawn.
        finished: (n, settings), the values of each finished trial, n at least 1.
        losses: (n,) their log losses.
        given_up: (m, settings), the values of trials without a log loss.
        study: its name.
    """
    shown = list(axes[:MOST_PANELS])
    columns = 2 if len(shown) == 4 else min(COLUMNS, len(shown))
    lines = math.ceil(len(shown) / columns)
    width = max(NARROWEST, 0.6 + 3.3 * columns)
    note = textwrap.fill(_note(axes, losses, len(given_up)), int(LETTERS_AN_INCH * width))
    figure = style.new_figure(width, 1.2 + 2.9 * lines, f"What mattered in study {study}", note)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).flat
    top = _top(losses)
    for place, axis in enumerate(shown):
        panel = panels[place]
        _panel(
            panel,
            axis,
            [values[place] for values in finished],
            losses,
            [values[place] for values in given_up],
            top=top,
        )
        if place % columns == 0:
            panel.set_ylabel("calibrated log loss (nats)")
    for panel in list(panels)[len(shown) :]:
        panel.set_visible(False)
    return figure


def _panel(
    panel: Axes,
    axis: Axis,
    values: Sequence[Value],
    losses: NDArray[np.floating],
    given_up: Sequence[Value],
    *,
    top: float,
) -> None:
    _scale(panel, axis)
    best = int(np.argmin(losses))
    places = _places(axis, values, apart=True)
    panel.axvline(
        _places(axis, [axis.start])[0], color=style.MUTED_COLOR, linewidth=1, linestyle=(0, (4, 3))
    )
    low = float(losses.min())
    span = top - low or max(0.1 * low, 1e-3)
    above = top + 0.08 * span
    others = np.arange(len(losses)) != best
    for rows, marker in ((others & (losses <= top), "o"), (others & (losses > top), "^")):
        if not rows.any():  # an empty line would stand in the corner of the figure
            continue
        panel.plot(
            places[rows],
            np.minimum(losses, above)[rows],
            marker,
            color=style.TRAIN_COLOR,
            alpha=0.65,
            markersize=6,
            markeredgewidth=0,
            clip_on=False,
        )
    panel.plot(
        places[best],
        losses[best],
        "o",
        color=style.VAL_COLOR,
        markersize=10,
        markeredgecolor=style.BACKGROUND,
        clip_on=False,
        zorder=3,
    )
    if given_up:
        panel.plot(
            _places(axis, given_up, apart=True),
            np.ones(len(given_up)),
            "|",
            transform=panel.get_xaxis_transform(),
            color=style.MUTED_COLOR,
            markersize=9,
            clip_on=False,
        )
    panel.grid(axis="y")
    panel.set_ylim(low - 0.08 * span, top + 0.14 * span)
    _heading(panel, axis)


def _scale(panel: Axes, axis: Axis) -> None:
    """The whole range that was searched, whatever of it was tried, in plain numbers."""
    if axis.choices is not None:
        panel.set_xticks(range(len(axis.choices)), [str(choice) for choice in axis.choices])
        panel.set_xlim(-0.5, len(axis.choices) - 0.5)
        return
    low, high = axis.low, axis.high
    if axis.log:
        from matplotlib.ticker import LogLocator, NullLocator

        panel.set_xscale("log")
        few = high / low < 100
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        panel.xaxis.set_minor_locator(NullLocator())
        edge = (high / low) ** 0.04
        panel.set_xlim(low / edge, high * edge)
    else:
        edge = 0.04 * (high - low)
        panel.set_xlim(low - edge, high + edge)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _heading(panel: Axes, axis: Axis) -> None:
    """The setting's name over a bar that is as long as its importance."""
    name = axis.name.replace("_", " ")
    if math.isnan(axis.importance):
        panel.set_title(name, pad=10)
        return
    panel.set_title(f"{name}, {100 * axis.importance:.0f} %", pad=19)
    for share, colour in ((1.0, style.GRID_COLOR), (axis.importance, style.TEXT_COLOR)):
        (bar,) = panel.plot(
            [0, share],
            [1.075, 1.075],
            transform=panel.transAxes,
            color=colour,
            linewidth=3.5,
            solid_capstyle="butt",
            clip_on=False,
        )
        bar.set_in_layout(False)


def _places(axis: Axis, values: Sequence[Value], *, apart: bool = False) -> NDArray[np.float64]:
    """Where on the panel's x-axis ``values`` stand; a value that is no choice beyond the edge."""
    if axis.choices is None:
        return np.array(values, np.float64)
    order: dict[Any, int] = {choice: place for place, choice in enumerate(axis.choices)}
    places = np.array([order.get(value, -1) for value in values], np.float64)
    return places + APART * (np.arange(len(places)) % 5 - 2) if apart else places


def _top(losses: NDArray[np.floating]) -> float:
    """The largest log loss that is drawn to scale: one bad trial must not flatten the others."""
    low, middle = float(losses.min()), float(np.median(losses))
    return float(losses[losses <= low + max(SPREADS * (middle - low), 1e-4)].max())


def _note(axes: Sequence[Axis], losses: NDArray[np.floating], given_up: int) -> str:
    known = [axis for axis in axes if not math.isnan(axis.importance)]
    finished, beyond = len(losses), int((losses > _top(losses)).sum())
    sentences = [
        f"{finished} finished trials; orange: the best; dashed: what the recipe had."
        + (f" Ticks above: {given_up} given up early." if given_up else "")
        + (f" Triangles: {beyond} with a larger loss." if beyond else "")
    ]
    if known:
        rough = "; from so few trials it is rough" if finished < FEW else ""
        sentences.append(f"Bars: share of the losses' variance that a setting explains{rough}.")
    if len(axes) > MOST_PANELS:
        sentences.append(f"{len(axes) - MOST_PANELS} settings that matter less are not drawn.")
    return " ".join(sentences)
