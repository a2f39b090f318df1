"""HTML pages that are one file: they contain their figures, open offline and print."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PageFigure:
    """A PNG file on a page, its anchor, its heading, and an explanation for a newcomer."""

    name: str
    title: str
    explanation: str
    path: Path


def render_page(template: str, package: str = "evaluation", **values: Any) -> str:
    """Render a template in the folder of ``package`` to HTML text; all values are escaped.

    Included templates come from the folder of ``plots``.
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
    environment.filters["data_uri"] = _data_uri
    return environment.get_template(template).render(**values)


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
