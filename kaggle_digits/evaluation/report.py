"""Render report.html: one file that explains a run to a newcomer, opens offline and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.evaluation import run_summary
from kaggle_digits.metrics.classification import Metrics
from kaggle_digits.metrics.predictions import Prediction
from kaggle_digits.plots import page

TEMPLATE = "report.html.j2"
MOST_PAIRS = 8
# File name of each figure → its title, in the order of the page.
TITLES = {
    "confusion": "Confusion matrix",
    "class-accuracy": "Accuracy on each digit",
    "worst-mistakes": "Most confident errors",
    "doubtful-right": "Least confident correct predictions",
    "reliability": "Calibration",
    "learning-curves": "Learning curves",
    "first-layer": "Weights of the first layer",
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
    """Render the page as HTML text.

    Args:
        name: of the run.
        config: content of config.json.
        training: content of metrics.json.
        metrics: on the held-out rows.
        errors: wrong predictions, in the order of the figure ``worst-mistakes``.
        figures: figure name → PNG file.
        views: number of test-time augmentation views if the rows were predicted again for this
            page; None for the predictions saved in the run.
    """
    explanations = _explanations(metrics, training)
    return page.render_page(
        TEMPLATE,
        name=name,
        score=metrics.score,
        wrong=metrics.score.n - metrics.score.correct,
        calibration=metrics.calibration,
        classes=metrics.classes,
        pairs=metrics.pairs[:MOST_PAIRS],
        errors=errors,
        figures=[
            page.PageFigure(key, TITLES[key], explanations[key], page.png_data_uri(figures[key]))
            for key in TITLES
            if key in figures
        ],
        facts=run_summary.facts(config, training),
        validation=run_summary.validation(config, training, views),
        environment=run_summary.environment(config, training),
        version=__version__,
    )


def _explanations(metrics: Metrics, training: Mapping[str, Any]) -> dict[str, str]:
    """Explain each figure in a few sentences, with the numbers of this run."""
    hardest = min(
        (item for item in metrics.classes if item.recall is not None),
        key=lambda item: item.recall or 0.0,
    )
    if metrics.pairs:
        pair = metrics.pairs[0]
        most_confused = (
            f"Most often confused: {pair.low} and {pair.high} ({pair.low} predicted as "
            f"{pair.high}: {pair.low_as_high}; {pair.high} predicted as {pair.low}: "
            f"{pair.high_as_low})."
        )
    else:
        most_confused = "This model made no errors."
    error = 100 * metrics.calibration.error
    epoch_choice = str(training.get("epoch_choice") or "").strip().rstrip(".")
    return {
        "confusion": "Each row is a true label, each column a prediction. The grey diagonal counts "
        f"correct predictions, every orange square one kind of error. {most_confused}",
        "class-accuracy": "The dot is the share of the images of a digit that are predicted "
        "correctly. The line is the range that contains the true share with 95 % confidence. If "
        "two lines overlap widely, the difference may be chance. The hardest digit here is "
        f"{hardest.digit}.",
        "worst-mistakes": "Wrong predictions with the highest confidence. Look at each: would you "
        "have read it correctly? Sometimes the label is wrong, not the prediction.",
        "doubtful-right": "Correct predictions with the lowest confidence. They show which digits "
        "are hard for the model. A slightly different training might get them wrong.",
        "reliability": "Predictions are grouped by the model's confidence. On the dashed line, "
        "confidence equals accuracy: of predictions with 90 % confidence, 90 % are correct. On "
        f"average the two differ by {error:.2f} percentage points (the expected calibration "
        "error; 0 is perfect).",
        "learning-curves": "Training minimises the loss; the goal is a high validation accuracy. "
        "While both curves improve, the model is still learning. If only the training curve "
        "improves, the model overfits. Training values are averages over the epoch, with the "
        "weights still changing, so validation can look better at first."
        + (f" Epoch used: {epoch_choice}." if epoch_choice else ""),
        "first-layer": "Every square is one unit of the first layer and shows its weights for the "
        "pixels it sees. Ink on purple raises its output, ink on orange lowers it, white has no "
        "effect. Strokes and edges were learned; noise remains from the random initial weights.",
    }
