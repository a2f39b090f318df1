"""Render report.html: one file that explains a run to a newcomer, opens offline and prints.

The run may have been written by another version, so everything that is missing is left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.metrics.classification import Metrics, Prediction
from kaggle_digits.plots import page
from kaggle_digits.runs.run import Run

MOST_PAIRS = 8
# File name of each figure → its title, in the order of the page.
TITLES = {
    "confusion": "Confusion matrix",
    "class-accuracy": "Accuracy on each digit",
    "worst-mistakes": "Most confident errors",
    "saliency": "Pixels behind the errors",
    "doubtful-right": "Least confident correct predictions",
    "reliability": "Calibration",
    "learning-curves": "Learning curves",
    "first-layer": "Weights of the first layer",
}


def render_report(
    run: Run,
    metrics: Metrics,
    errors: Sequence[Prediction],
    figures: Mapping[str, Path],
    views: int | None,
) -> str:
    """Render the page about a run, measured on its held-out rows, as HTML text.

    ``errors`` are the most confident ones, ``figures`` name → PNG file. ``views`` is the number of
    views in test-time augmentation; None for the predictions saved in the run.
    """
    return page.render_page(
        "report.html.j2",
        name=run.name,
        config=run.config(),
        training=run.metrics(),
        extra_rows=run.extra_rows(),
        metrics=metrics,
        pairs=metrics.pairs[:MOST_PAIRS],
        errors=errors,
        hardest=min((c for c in metrics.classes if c.support), key=lambda c: c.recall or 0.0),
        views=views,
        titles=TITLES,
        figures=figures,
        to_text=_to_text,
        version=__version__,
    )


def _to_text(value: Any) -> str:
    """Format a setting: mappings as "a 1, b 2", lists as "128-64", the rest with str()."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {_to_text(item)}"
            for key, item in value.items()
            if item not in (None, "", [], {})
        )
    if isinstance(value, list):
        return "-".join(_to_text(item) for item in value)
    return "" if value is None else str(value)
