"""Evaluate a finished run on its held-out rows: metrics, figures and report.html.

This reads the predictions saved in the run, so it does not need TensorFlow. For other predictions,
such as with test-time augmentation, the caller passes a function.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.core.atomic_io import wrap_os_errors, write_text
from kaggle_digits.core.errors import RunError
from kaggle_digits.core.text import describe_setting
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.evaluation.saliency import error_saliency
from kaggle_digits.metrics import classification, scores
from kaggle_digits.metrics.classification import Metrics, Prediction
from kaggle_digits.metrics.scores import McNemarResult, Score, mcnemar, predicted_rows
from kaggle_digits.models.registry import used_settings
from kaggle_digits.plots import charts, digit_grids, page, style
from kaggle_digits.runs.files import explain_damage, read_array
from kaggle_digits.runs.run import FIRST_LAYER_FILE, OOF_FILE, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES, REPORT = "figures", "report.html"
MOST_SHOWN, MOST_EXPLAINED, MOST_PAIRS = 24, 12, 8
# File name of each figure → its title in the report, in the order of the page.
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

# number of TTA views, including 1 → (n_train, 10) float32, NaN for rows never held out
PredictOof = Callable[[Run, Dataset], dict[int, Probabilities]]


@dataclass(frozen=True)
class TtaScore:
    """The score with a number of test-time augmentation views, compared with one view.

    ``changed`` rows have another prediction than with one view; in McNemar's test, ``gained``
    counts rows correct only with ``views`` views.
    """

    views: int
    score: Score
    changed: int
    mcnemar: McNemarResult


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a run on its held-out rows, and the files that ``evaluate`` wrote.

    There are at most 24 of both kinds of predictions. ``tta`` is the score with each number of
    views, fewest first; empty for the predictions saved in the run. If ``leak`` says that the
    predictions depend on labels of the validation rows, the metrics are not those of unseen rows.
    """

    run: str
    metrics: Metrics
    most_confident_errors: tuple[Prediction, ...]
    least_confident_correct: tuple[Prediction, ...]
    figures: dict[str, Path]
    report: Path
    tta: tuple[TtaScore, ...] = ()
    leak: str | None = None


def evaluate(run: Run, dataset: Dataset, predict_oof: PredictOof | None = None) -> Evaluation:
    """Compute the metrics of a finished run; write its figures and report.html.

    If ``predict_oof`` is given, its predictions with the most views replace those of oof.npy.

    Raises:
        RunError: the run is unfinished, damaged, was trained on other data, or held nothing out.
        StorageError: the run folder cannot be written.
    """
    run.metrics()  # raises RunError if the run is not finished
    oof = load_oof(run, dataset)
    tta: tuple[TtaScore, ...] = ()
    if predict_oof is not None:
        by_views = predict_oof(run, dataset)
        oof = by_views[max(by_views)]
        tta = compare_tta(by_views, dataset.labels)
    metrics, errors, unsure = measure(dataset, oof)
    folder, paths = run.path / FIGURES, dict[str, Path]()
    for name, figure in _figures(run, dataset, metrics, errors, unsure):
        paths[name] = folder / f"{name}.png"
        style.save(figure, paths[name])
    # Delete figures of an earlier evaluation that this one did not replace.
    saved = style.saved_suffixes()
    with wrap_os_errors(folder):
        for name in TITLES:
            for suffix in (".png", ".svg"):
                if name not in paths or suffix not in saved:
                    (folder / f"{name}{suffix}").unlink(missing_ok=True)
    report = run.path / REPORT
    text = page.render_page(
        "report.html.j2",
        name=run.name,
        config=run.config(),
        training=run.metrics(),
        extra_rows=run.extra_rows(),
        metrics=metrics,
        pairs=metrics.pairs[:MOST_PAIRS],
        errors=errors,
        hardest=min((c for c in metrics.classes if c.support), key=lambda c: c.recall or 0.0),
        views=tta[-1].views if tta else None,
        titles=TITLES,
        figures=paths,
        to_text=describe_setting,
        used_settings=used_settings,
    )
    write_text(report, text, durable=False)
    return Evaluation(run.name, metrics, errors, unsure, paths, report, tta, run.leak())


def compare_tta(by_views: Mapping[int, Probabilities], labels: Labels) -> tuple[TtaScore, ...]:
    """Compare each number of views with one view on the same rows, fewest views first.

    ``by_views`` is the number of views, including 1 → (n, 10), NaN in the same rows for all;
    without any other row RunError is raised.
    """
    rows = predicted_rows(by_views[1])
    truth = labels[rows]
    one_view = by_views[1][rows].argmax(axis=1)
    compared = []
    for views, probabilities in sorted(by_views.items()):
        predicted = probabilities[rows].argmax(axis=1)
        changed = int((predicted != one_view).sum())
        test = mcnemar(one_view == truth, predicted == truth)
        score = scores.score_or_raise(probabilities[rows], truth)
        compared.append(TtaScore(views, score, changed, test))
    return tuple(compared)


def best_tta(compared: Sequence[TtaScore]) -> TtaScore:
    """Return the most accurate; of equals the one with the lower log loss, then fewer views."""
    return min(compared, key=lambda s: (-s.score.accuracy, s.score.log_loss, s.views))


def measure(
    dataset: Dataset, oof: Probabilities
) -> tuple[Metrics, tuple[Prediction, ...], tuple[Prediction, ...]]:
    """Return the metrics of the held-out rows, and the predictions as in ``Evaluation``."""
    rows = predicted_rows(oof)
    probabilities, labels = oof[rows], dataset.labels[rows]
    lines = dataset.train.lines
    notable = classification.notable_predictions(probabilities, labels, rows, MOST_SHOWN, lines)
    return classification.compute_metrics(probabilities, labels), *notable


def load_oof(run: Run, dataset: Dataset) -> Probabilities:
    """Read the run's out-of-fold probabilities and check that they belong to ``dataset``.

    They are (n_train, 10) float32, NaN for rows never held out; at least one row is not NaN. Raises
    RunError if the run is damaged, was trained on other data, or held nothing out.
    """
    run.check_data(dataset, ["train"])
    nothing_held_out = RunError(
        f"run {run.name} was trained on all labelled rows, so there are no held-out rows to "
        "evaluate it on; train with `kd.Split(folds=5)` and evaluate that run"
    )
    if run.config()["split"].get("kind") == "all":
        raise nothing_held_out
    oof = run.oof(dataset.labels)
    if len(oof) != len(dataset.train):
        raise RunError(
            f"{run.path / OOF_FILE} is damaged: it has {len(oof)} rows and train.csv has "
            f"{len(dataset.train)}; delete it and run: `kd.resume(dataset, name={run.name!r})`"
        )
    if not len(predicted_rows(oof)):
        if leak := run.leak():
            raise RunError(f"ensemble {run.name} has no out-of-fold predictions: {leak}")
        raise nothing_held_out
    return oof


def _figures(
    run: Run,
    dataset: Dataset,
    metrics: Metrics,
    errors: tuple[Prediction, ...],
    unsure: tuple[Prediction, ...],
) -> "Iterator[tuple[str, Figure]]":
    """Yield the figures that there is something to draw for, one at a time to save memory.

    RunError is raised before the first if the run is damaged.
    """
    history, draw_weights, images = run.read_history(), first_layer(run), dataset.train.images
    maps = error_saliency(run, dataset, errors[:MOST_EXPLAINED])
    yield "confusion", charts.confusion_matrix(metrics.confusion)
    yield "class-accuracy", charts.class_accuracy(metrics.classes, metrics.score.accuracy)
    if errors:
        yield "worst-mistakes", digit_grids.most_confident_errors(images, errors)
    if maps is not None:
        yield "saliency", digit_grids.saliency(images, errors[: len(maps)], maps)
    if unsure:
        yield "doubtful-right", digit_grids.least_confident_correct(images, unsure)
    yield "reliability", charts.reliability_diagram(metrics.calibrated, metrics.calibration)
    if len({row["epoch"] for row in history}) > 1:
        yield "learning-curves", charts.learning_curves(history)
    if draw_weights:
        yield "first-layer", draw_weights()


def first_layer(run: Run) -> "Callable[[], Figure] | None":
    """Read the first layer's weights of the first model, to be drawn; None if it saved none."""
    path = run.member_folder(0) / FIRST_LAYER_FILE
    if not os.path.lexists(path):
        return None
    with explain_damage(path, "delete it and evaluate again"):
        weights = read_array(path, np.floating, (None, None, None))
        if not weights.size or not np.isfinite(weights).all():
            raise ValueError("it is empty or holds NaN or infinity")
    linear = run.config()["model"] == "linear"
    return partial(digit_grids.first_layer_weights, np.asarray(weights, np.float32), linear=linear)
