"""HTML pages that are one file: they contain their figures, open offline and print."""

import base64
import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits._version import __version__
from kaggle_digits.core.text import round_seconds
from kaggle_digits.plots import style

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class PageFigure:
    """A figure on a page: its anchor, its heading, and an explanation for a newcomer.

    ``uri`` is its picture as a data URI and ``note`` the text below it, as of ``read_figure``.
    """

    name: str
    title: str
    explanation: str
    uri: str
    note: str


def render_page(template: str, package: str = "evaluation", **values: Any) -> str:
    """Render a template in the folder of ``package`` to HTML text; all values are escaped.

    Included templates come from the folder of ``plots``.
    """
    return _environment(package).get_template(template).render(**values)


@functools.cache
def _environment(package: str) -> "Environment":
    """Return Jinja's environment, which keeps the templates that it compiled."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    folders = (f"kaggle_digits.{package}", "kaggle_digits.plots")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(folder, ".") for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda x: "–" if x is None else f"{100 * x:.2f} %"
    environment.filters["read_figure"] = read_figure
    environment.globals |= {"duration": describe_duration, "version": __version__}
    return environment


def describe_duration(seconds: float | None) -> str:
    """Return seconds as "4.2 seconds", "13.0 minutes" or "2.5 hours"; empty for None."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{round_seconds(seconds)} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"


def read_figure(path: Path) -> tuple[str, str]:
    """Return a PNG file without title and note as a data URI, and its note.

    The page shows them as text: the title would repeat its heading, and the note would be too small
    on a phone.
    """
    from PIL import Image

    content = io.BytesIO()
    with Image.open(path) as image:
        top, bottom = (float(share) for share in image.info.get(style.BODY, "0 1").split())
        body = (0, int(top * image.height), image.width, int(bottom * image.height))
        image.crop(body).save(content, "PNG", compress_level=style.PNG_COMPRESSION)
        note = image.info.get(style.NOTE, "")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii"), note
