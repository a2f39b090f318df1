"""report.html: one file that explains a run to a newcomer, opens offline and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.evaluation import run_summary
from kaggle_digits.metrics.classification import ConfusedPair, Metrics
from kaggle_digits.metrics.predictions import Prediction
from kaggle_digits.metrics.scores import Score
from kaggle_digits.plots import page

TEMPLATE = "report.html.j2"
MOST_PAIRS = 8
# Also the names of the pictures, in the order of the page.
TITLES = {
    "confusion": "What is taken for what",
    "class-accuracy": "Which digits are hard",
    "worst-mistakes": "The worst mistakes",
    "doubtful-right": "The most doubtful right answers",
    "reliability": "Does it know when it is unsure?",
    "learning-curves": "How the training went",
    "first-layer": "What the first layer looks for",
}


def render_report(
    *,
    name: str,
    config: Mapping[str, Any],
    training: Mapping[str, Any],
    metrics: Metrics,
    errors: Sequence[Prediction],
    figures: Mapping[str, Path],
    views: int | None = None,
) -> str:
    """The page as text.

    Args:
        name: of the run.
        config: config.json.
        training: metrics.json.
        metrics: measured on the held-out rows.
        errors: wrong answers, surest first, as in the picture ``worst-mistakes``.
        figures: picture name -> PNG file.
        views: of each image, where it was predicted again for this page; None where the run's own
            answers were measured.
    """
    explanations = _explanations(metrics, training)
    pictures = [
        page.PageFigure(key, TITLES[key], explanations[key], page.png_data_uri(figures[key]))
        for key in TITLES
        if key in figures
    ]
    return page.render_page(
        TEMPLATE,
        name=name,
        score=metrics.score,
        wrong=_wrong(metrics.score),
        calibration=metrics.calibration,
        classes=metrics.classes,
        pairs=metrics.pairs[:MOST_PAIRS],
        errors=errors,
        pictures=pictures,
        facts=run_summary.facts(config, training),
        held_out=run_summary.held_out(config, training, views),
        circumstances=run_summary.circumstances(config, training),
        version=__version__,
    )


def _explanations(metrics: Metrics, training: Mapping[str, Any]) -> dict[str, str]:
    """A sentence or two for each picture, with this run's own figures."""
    hardest = min(
        (item for item in metrics.classes if item.recall is not None),
        key=lambda item: item.recall or 0.0,
    )
    error = metrics.calibration.error
    choice = str(training.get("epoch_choice") or "").strip().rstrip(".")
    return {
        "confusion": "Each row is a digit as it was written, each column what the model read: "
        "the grey diagonal is right, every orange square a kind of mistake. "
        + (_pair_in_words(metrics.pairs[0]) if metrics.pairs else "This model made none."),
        "class-accuracy": "The dot is the share of each digit's images that is read rightly; the "
        "line is the range in which the true share lies with 95 % confidence. Where two lines "
        f"overlap widely, the difference may be chance. Hardest here: the {hardest.digit}.",
        "worst-mistakes": "The answers that were wrong with the most confidence. Look at each: "
        "would you have read it rightly? Some may be mistakes in the label, not in the answer.",
        "doubtful-right": "Answers that were right but only just. They show what the model finds "
        "hard, and what a few more examples or a little training noise might settle.",
        "reliability": "Answers are sorted by how sure the model was; a point on the dashed line "
        "means that it was right exactly as often as it believed. On average belief and truth "
        f"are {100 * error:.2f} percentage points apart (the expected calibration error; "
        "0 is perfect).",
        "learning-curves": "Loss is what training lowers; accuracy is what we want. While both "
        "curves improve the model is still learning; where training goes on improving and "
        "validation does not, it has begun to learn the training rows by heart. Training figures "
        "are taken while the model still changes, so validation can look better at first."
        + (f" Which epoch was kept: {choice}." if choice else ""),
        "first-layer": "Every square is one unit of the first layer: the weights it gives to "
        "the pixels it looks at. Ink on purple raises its answer, ink on orange lowers it, white "
        "does not matter. Strokes and edges are learnt; speckle is left from the random start.",
    }


def _pair_in_words(pair: ConfusedPair) -> str:
    return (
        f"Most often confused: {pair.low} and {pair.high} ({pair.low} read as {pair.high}: "
        f"{pair.low_as_high}; {pair.high} read as {pair.low}: {pair.high_as_low})."
    )


def _wrong(score: Score) -> int:
    return round((1 - score.accuracy) * score.n)
