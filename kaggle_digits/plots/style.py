"""One look for every picture: the same digit has the same colour everywhere, ink on white.

The white is painted, not left transparent, so that a picture reads in a dark-mode viewer too.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Ten colours that stay apart for colour-blind eyes: M. A. Petroff, "Accessible Color Sequences
# for Data Visualization", arXiv:2107.02270. DIGIT_COLORS[d] is the colour of digit d.
DIGIT_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
TEXT_COLOR, MUTED_COLOR, GRID_COLOR, BACKGROUND = "#1b1f24", "#59636e", "#d8dde3", "#ffffff"
DIAGONAL_COLOR = "#e9ecef"
TRAIN_COLOR, VAL_COLOR = "#2b6cb0", "#d9480f"
DIGIT_CMAP, ERROR_CMAP, DIVERGING_CMAP = "gray_r", "Oranges", "PuOr"
DPI = 150
KINDS = (".png", ".svg", ".pdf")

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED_COLOR,
    "axes.facecolor": BACKGROUND,
    "axes.grid": False,
    "axes.labelcolor": TEXT_COLOR,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": TEXT_COLOR,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "figure.facecolor": BACKGROUND,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 10,
    "grid.color": GRID_COLOR,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "savefig.facecolor": BACKGROUND,
    "svg.hashsalt": "kaggle-digits",
    "text.color": TEXT_COLOR,
    "xtick.color": MUTED_COLOR,
    "xtick.labelcolor": TEXT_COLOR,
    "xtick.labelsize": 9,
    "ytick.color": MUTED_COLOR,
    "ytick.labelcolor": TEXT_COLOR,
    "ytick.labelsize": 9,
}

Parameters = ParamSpec("Parameters")
_VECTOR_COPIES: ContextVar[bool] = ContextVar("svg_copies", default=False)


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Give what ``draw`` makes our style, and leave matplotlib's settings as they were."""

    @functools.wraps(draw)
    def in_style(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def new_figure(
    width: float, height: float, title: str, note: str = "", *, squares: bool = False
) -> Figure:
    """An empty figure of ``width`` × ``height`` inches with its title above and a note below.

    ``squares`` keeps axes that hold pictures close together.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = (
        ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03, rect=(0.008, 0, 0.984, 1))
        if squares
        else ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    )
    figure = Figure(figsize=(width, height), layout=layout)
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold")
    if note:
        figure.supxlabel(note, x=0.012, ha="left", fontsize=9, color=MUTED_COLOR)
    return figure


def hide_ticks(axes: Axes) -> None:
    """Leave nothing of ``axes`` but a thin frame: it holds a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID_COLOR, linewidth=0.8)


@contextlib.contextmanager
def svg_copies(wanted: bool = True) -> Iterator[None]:
    """Within the block every PNG that is saved gets an SVG beside it, if ``wanted``."""
    before = _VECTOR_COPIES.set(wanted)
    try:
        yield
    finally:
        _VECTOR_COPIES.reset(before)


def saved_suffixes() -> tuple[str, ...]:
    """What a picture that is saved as PNG is saved as."""
    return (".png", ".svg") if _VECTOR_COPIES.get() else (".png",)


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, whole; the suffix chooses PNG, SVG or PDF.

    Raises:
        UsageError: no such kind of picture.
        StorageError: the folder is not writable or the disk is full.
    """
    if path.suffix not in KINDS:
        raise UsageError(f"{path} cannot be a picture; let its name end in {', '.join(KINDS)}")
    for suffix in saved_suffixes() if path.suffix == ".png" else (path.suffix,):
        _save(figure, path.with_suffix(suffix))


def _save(figure: Figure, path: Path) -> None:
    import matplotlib as mpl

    # No date and no version inside: the same figures give the same bytes.
    metadata = {".png": {"Software": None}, ".svg": {"Date": None}}.get(path.suffix)
    with mpl.rc_context(STYLE), atomic_write(path, durable=False) as part:
        figure.savefig(part, dpi=DPI, metadata=metadata)
