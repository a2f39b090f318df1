"""The style shared by all figures, and saving them.

Orange marks errors and validation, or speaks for a digit where blue speaks against it; points of
several digits have a colour for each; everything else has the accent colour. The background is
painted white, not left transparent, so that figures are readable in a dark viewer too.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import textwrap
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import UsageError
from kaggle_digits.core.library_settings import import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# DIGIT_COLORS[d] is the colour of digit d. Distinguishable with colour blindness: M. A. Petroff,
# "Accessible Color Sequences for Data Visualization", arXiv:2107.02270.
DIGIT_COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
TEXT_COLOR, MUTED_COLOR, GRID_COLOR, BACKGROUND = "#1b1f24", "#59636e", "#d8dde3", "#ffffff"
DIAGONAL_COLOR = "#e9ecef"
ACCENT_COLOR = TRAIN_COLOR = "#2b6cb0"
VAL_COLOR = "#d9480f"
DIGIT_CMAP, ERROR_CMAP = "gray_r", "Oranges"
DASHED = (0, (4, 3))
PNG_COMPRESSION = 3  # 6, the default of zlib, saves a tenth of the bytes in one and a half times
WIDTH = 7.5  # inches, of every figure on a page, so that its text has one size
DPI, NOTEBOOK_DPI = 150, 100
NOTE_CHARACTERS_PER_INCH = 13.5
TITLE, NOTE = "Title", "Description"  # of a figure; keywords of the PNG format
BODY = "Body"  # the part of a PNG file between title and note, as two shares of its height
SUFFIXES = (".png", ".svg", ".pdf")

RC_PARAMS: dict[str, Any] = {
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
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
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
_SVG_COPIES: ContextVar[bool] = ContextVar("svg_copies", default=False)


def styled(plot: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Decorate a plot function so that it uses our style without changing matplotlib's settings."""

    @functools.wraps(plot)
    def plot_in_style(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with rc_context(RC_PARAMS):
            return plot(*args, **kwargs)

    return plot_in_style


def rc_context(params: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Apply ``params`` and otherwise matplotlib's defaults, not the user's, while a block runs."""
    return import_matplotlib().rc_context(params, fname=os.devnull)  # type: ignore[no-any-return]


def new_figure(
    width: float, height: float, title: str, note: str = "", *, squares: bool = False
) -> Figure:
    """Create an empty figure of width × height inches with a title above and a note below.

    The note is wrapped to the width. ``squares`` places axes with square images close together. A
    notebook shows the figure also if pyplot was never imported.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = (
        ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03, rect=(0.008, 0, 0.984, 1))
        if squares
        else ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    )
    figure = Figure(figsize=(width, height), layout=layout)
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", gid=TITLE)
    if note:
        note = textwrap.fill(note, int(NOTE_CHARACTERS_PER_INCH * width))
        figure.supxlabel(note, x=0.012, ha="left", fontsize=9, color=MUTED_COLOR, gid=NOTE)
    vars(figure)["_repr_png_"] = functools.partial(_to_png, figure)  # IPython calls it
    return figure


def _to_png(figure: Figure) -> bytes:
    """Return the bytes of a PNG file of the size that notebooks show."""
    content = io.BytesIO()
    with rc_context(RC_PARAMS):
        figure.savefig(content, format="png", dpi=NOTEBOOK_DPI)
    return content.getvalue()


def evidence_cmap() -> Any:
    """Return the colours of evidence: blue against a digit, white for none, orange for it."""
    from matplotlib.colors import LinearSegmentedColormap

    colors = [ACCENT_COLOR, BACKGROUND, VAL_COLOR]
    return LinearSegmentedColormap.from_list("evidence", colors)


def hide_ticks(axes: Axes) -> None:
    """Remove the ticks of axes that show an image and draw a thin frame around it."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID_COLOR, linewidth=0.8)


def show_digit(axes: Axes, image: Any, max_value: int = 255) -> None:
    """Show an image, (h, w), 0 to ``max_value``, black on white in a thin frame."""
    axes.set_axis_on()
    axes.imshow(image, cmap=DIGIT_CMAP, vmin=0, vmax=max_value)
    hide_ticks(axes)


@contextlib.contextmanager
def svg_copies(enabled: bool = True) -> Iterator[None]:
    """Save an SVG file beside every PNG file that is saved within the block, if ``enabled``."""
    token = _SVG_COPIES.set(enabled)
    try:
        yield
    finally:
        _SVG_COPIES.reset(token)


def saved_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that saving a PNG file writes."""
    return (".png", ".svg") if _SVG_COPIES.get() else (".png",)


def saved_paths(path: Path) -> list[Path]:
    """Return ``path`` and the copy beside it that ``save`` writes; UsageError for its suffix."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path} must end in {', '.join(SUFFIXES)}")
    suffixes = saved_suffixes() if path.suffix == ".png" else (path.suffix,)
    return [path.with_suffix(suffix) for suffix in suffixes]


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` atomically to ``path``; its suffix selects PNG, SVG or PDF.

    The same figure gives the same bytes: the files contain no date and no version. A PNG file holds
    its title and note as text, too, for pages that show them as text. Raises UsageError for another
    suffix, StorageError if the folder is not writable or the disk is full.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for target in saved_paths(path):
        with rc_context(RC_PARAMS), atomic_write(target, durable=False) as part:
            png = {"Software": None, **_title_and_note(figure)}
            if target.suffix == ".png":
                figure.set_dpi(DPI)
                canvas, how = FigureCanvasAgg(figure), {"compress_level": PNG_COMPRESSION}
                canvas.print_png(part, metadata=png, pil_kwargs=how)  # savefig draws twice
            else:
                metadata = {"Date": None} if target.suffix == ".svg" else None
                figure.savefig(part, dpi=DPI, metadata=metadata)


def _title_and_note(figure: Figure) -> dict[str, str]:
    """Lay the figure out; return its title, its note and where the body between them is."""
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")  # the layout is done
        # Its last digits differ between processes, and with them, rarely, the pixels of a frame.
        for axes in figure.axes:
            bounds = axes.get_position(original=True).bounds
            left, bottom, width, height = (round(float(bound), 6) for bound in bounds)
            axes.set_position((left, bottom, width, height), which="original")
    height, top, bottom, values = figure.bbox.y1, 0.0, 1.0, dict[str, str]()
    for text in figure.texts:
        if (name := text.get_gid()) in (TITLE, NOTE):
            values[str(name)] = text.get_text().replace("\n", " ")
            box = text.get_window_extent()
            if name == TITLE:
                top = 1 - box.y0 / height
            else:
                bottom = 1 - box.y1 / height
    return {**values, BODY: f"{top:.4f} {bottom:.4f}"}
