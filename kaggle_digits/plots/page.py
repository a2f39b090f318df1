"""Pages: one file that opens offline and prints, with its pictures inside."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page.

    Attributes:
        name: its file's name without suffix; also its anchor.
        title: heading above it.
        explanation: one or two sentences for someone who sees such a figure for the first time.
        uri: the PNG itself as a data URI, so that the page needs no other file.
    """

    name: str
    title: str
    explanation: str
    uri: str


def render_page(template: str, package: str = "evaluation", **values: Any) -> str:
    """The page as text; whatever comes from outside is escaped.

    Args:
        template: name of its file in the folder ``package``.
        package: ``evaluation`` or ``studies``; included templates come from ``plots``.
        values: what the template names.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    folders = dict.fromkeys([f"kaggle_digits.{package}", "kaggle_digits.plots"])
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(folder, ".") for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["share"] = _share
    return environment.get_template(template).render(**values)


def png_data_uri(path: Path) -> str:
    """A PNG as text that stands in a page."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
