"""How good a run is and where it fails: figures and a page, from what the run left behind.

Nothing is predicted here, so nothing here needs TensorFlow: whoever wants other predictions than
those that stand in the run brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import wrap_os_errors, write_text
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation.held_out import held_out
from kaggle_digits.evaluation.tta_gain import ViewsScore, compare_views
from kaggle_digits.metrics.classification import Metrics, measure
from kaggle_digits.metrics.predictions import Answer, doubtful_right, worst_mistakes
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.run import HISTORY_COLUMNS, HISTORY_FILE, Probabilities, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES, REPORT = "figures", "report.html"
FIRST_LAYER = "first_layer.npy"
MOST_SHOWN = 24

# number of views, 1 among them → (n_train, 10) float32, NaN where never held out
Predict = Callable[[Run, Dataset], dict[int, Probabilities]]


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` found and wrote.

    Attributes:
        run: the run's name.
        metrics: measured on the rows that were held out.
        mistakes: wrong answers, surest first, at most 24.
        doubtful: right answers, most doubtful first, at most 24.
        figures: name -> path of the picture.
        report: path of report.html.
        views: each number of views that was predicted, fewest first; empty where the run's own
            predictions were measured.
    """

    run: str
    metrics: Metrics
    mistakes: tuple[Answer, ...]
    doubtful: tuple[Answer, ...]
    figures: dict[str, Path]
    report: Path
    views: tuple[ViewsScore, ...] = ()


def evaluate(run: Run, dataset: Dataset, again: Predict | None = None) -> Evaluation:
    """Measure a finished run on its held-out rows; write its figures and its report.html.

    Args:
        run: a finished run with out-of-fold or hold-out predictions.
        dataset: the data it was trained on.
        again: predicts the held-out rows anew; those of the most views are measured then, in
            place of oof.npy. None measures oof.npy.

    Raises:
        RunError: the run is unfinished, damaged, was trained on other data, or held nothing out.
        StorageError: the run folder cannot be written.
    """
    from kaggle_digits.evaluation import report
    from kaggle_digits.plots import style

    config, figures_of_training = run.config(), run.metrics()
    probabilities = held_out(run, dataset)
    views: tuple[ViewsScore, ...] = ()
    if again is not None:
        by_views = again(run, dataset)
        probabilities = by_views[max(by_views)]
        views = compare_views(by_views, dataset.labels)
    rows = predicted_rows(probabilities)
    known, labels = probabilities[rows], dataset.labels[rows]
    metrics = measure(known, labels)
    mistakes = worst_mistakes(known, labels, rows, MOST_SHOWN)
    doubtful = doubtful_right(known, labels, rows, MOST_SHOWN)

    history, weights = _history(run), _first_layer(run)

    folder = run.path / FIGURES
    paths: dict[str, Path] = {}
    for name, figure in _figures(
        images=dataset.train.images,
        metrics=metrics,
        mistakes=mistakes,
        doubtful=doubtful,
        history=history,
        weights=weights,
    ):
        paths[name] = folder / f"{name}.png"
        style.save(figure, paths[name])
    # A picture of an earlier evaluation that no longer belongs here would lie.
    fresh = {path.with_suffix(suffix) for path in paths.values() for suffix in style.suffixes()}
    with wrap_os_errors(folder):
        for name, suffix in product(report.TITLES, (".png", ".svg")):
            if (path := folder / f"{name}{suffix}") not in fresh:
                path.unlink(missing_ok=True)
    page = report.render(
        name=run.name,
        config=config,
        training=figures_of_training,
        metrics=metrics,
        mistakes=mistakes,
        figures=paths,
        views=views[-1].views if views else None,
    )
    write_text(run.path / REPORT, page, durable=False)
    return Evaluation(
        run.name, metrics, tuple(mistakes), tuple(doubtful), paths, run.path / REPORT, views
    )


def _figures(
    *,
    images: NDArray[np.uint8],
    metrics: Metrics,
    mistakes: list[Answer],
    doubtful: list[Answer],
    history: list[dict[str, float]],
    weights: NDArray[np.float32] | None,
) -> Iterator[tuple[str, Figure]]:
    """Each picture there is something to draw for, one at a time: a figure takes memory."""
    from kaggle_digits.plots import charts, curves, digit_grids

    yield "confusion", charts.confusion(metrics.confusion)
    yield "class-accuracy", charts.class_accuracy(metrics.classes, metrics.score.accuracy)
    if mistakes:
        rows = [answer.row for answer in mistakes]
        yield "worst-mistakes", digit_grids.worst_mistakes(images[rows], mistakes)
    if doubtful:
        rows = [answer.row for answer in doubtful]
        yield "doubtful-right", digit_grids.doubtful_right(images[rows], doubtful)
    yield "reliability", charts.reliability(metrics.calibration)
    if len({row["epoch"] for row in history}) > 1:
        yield "learning-curves", curves.learning_curves(history)
    if weights is not None:
        yield "first-layer", digit_grids.first_layer(weights)


def _history(run: Run) -> list[dict[str, float]]:
    history = run.history()
    if history and not set(HISTORY_COLUMNS) <= set(history[0]):
        raise RunError(
            f"{run.path / HISTORY_FILE} lacks columns: damaged; delete it and run: "
            f"kd train --resume --name {run.name}"
        )
    return history


def _first_layer(run: Run) -> NDArray[np.float32] | None:
    """(k, h, w) weights that the first member left; None where it left none."""
    path = run.member_folder(0) / FIRST_LAYER
    try:
        weights = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"{path} is damaged; delete it and evaluate again") from error
    if weights.ndim != 3 or not weights.size or not np.issubdtype(weights.dtype, np.floating):
        raise RunError(
            f"{path} holds {weights.dtype} {weights.shape} where (units, height, width) weights "
            "are expected; delete it and evaluate again"
        )
    return np.asarray(weights, np.float32)
