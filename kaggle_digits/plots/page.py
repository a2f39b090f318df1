"""HTML pages that are one file: they contain their figures, open offline and print."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PageFigure:
    """A figure on a page.

    Attributes:
        name: of its file without suffix; also its anchor.
        title: heading above it.
        explanation: one or two sentences for someone who sees such a figure for the first time.
        uri: the PNG file as a data URI.
    """

    name: str
    title: str
    explanation: str
    uri: str


def render_page(template: str, package: str = "evaluation", **values: Any) -> str:
    """Render a template to HTML text; all values are escaped.

    Args:
        template: file name in the folder of ``package``.
        package: ``evaluation`` or ``studies``; included templates come from ``plots``.
        values: variables of the template.
    """
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
    environment.filters["share"] = lambda x: "–" if x is None else f"{x:.4f}"
    return environment.get_template(template).render(**values)


def png_data_uri(path: Path) -> str:
    """Return a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
