"""Find labels of train.csv that are probably wrong: confident learning on out-of-fold predictions.

Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70,
2021: a row counts as another digit if a model that never saw its label gives that digit a higher
probability than it gives, on average, to rows labelled as that digit. cleanlab, the authors' own
package, does the counting.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core import progress
from kaggle_digits.core.atomic_io import backup_existing, write_text
from kaggle_digits.core.extras import needs
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.evaluation.evaluate import FIGURES
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.classification import Prediction, predictions_at
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.run import Run

TABLE, FIGURE = "label-errors.csv", "label-errors.png"
MOST_SHOWN = 48


@dataclass(frozen=True)
class LabelError(Prediction):
    """A row whose label is probably wrong, and the predicted probability of the label, 0 to 1."""

    label_probability: float


@dataclass(frozen=True)
class LabelErrors:
    """The label errors among the held-out ``rows`` of a run, least probable label first.

    ``table`` is the CSV file that ``write_label_errors`` wrote, ``figure`` the PNG file, None
    without errors.
    """

    run: str
    rows: int
    errors: tuple[LabelError, ...]
    table: Path
    figure: Path | None


def find_label_errors(
    probabilities: Probabilities, labels: Labels, lines: NDArray[np.int64] | None = None
) -> tuple[LabelError, ...]:
    """Return the rows whose label is probably wrong, least probable label first.

    ``probabilities`` (n_train, 10) are of models that never saw the row; rows of NaN are left out.
    They are calibrated first, because label smoothing lowers all confidences. ``lines`` are those
    of ``Digits``. Raises UsageError if cleanlab is not installed.
    """
    with needs("the search for label errors", "labels"):
        from cleanlab.filter import find_label_issues
    rows = predicted_rows(probabilities)
    truth = labels[rows]
    calibrated = apply_temperature(probabilities[rows], fit_temperature(probabilities, labels))
    # cleanlab expects consecutive classes from 0, and a small run may lack some digits.
    present = np.unique(truth)
    shares = calibrated[:, present] / calibrated[:, present].sum(axis=1, keepdims=True)
    classes = np.searchsorted(present, truth)
    options = {"return_indices_ranked_by": "self_confidence", "n_jobs": 1}
    positions = np.asarray(find_label_issues(classes, shares, **options), np.int64)
    predictions = predictions_at(calibrated, truth, rows, positions, lines)
    label_probabilities = calibrated[positions, truth[positions]]
    return tuple(
        LabelError(**vars(prediction), label_probability=float(probability))
        for prediction, probability in zip(predictions, label_probabilities, strict=True)
        if prediction.predicted != prediction.label
    )


def write_label_errors(run: Run, dataset: Dataset, probabilities: Probabilities) -> LabelErrors:
    """Find probable label errors; write a table and a figure into the run folder.

    A table with other contents is renamed first. ``probabilities`` are the run's out-of-fold ones,
    (n_train, 10). Raises UsageError if cleanlab is not installed, StorageError if the folder cannot
    be written.
    """
    from kaggle_digits.plots import digit_grids, style

    errors = find_label_errors(probabilities, dataset.labels, dataset.train.lines)
    table, figure = run.path / TABLE, run.path / FIGURES / FIGURE
    lines = ["line,label,suggested,confidence,label_probability"]
    for error in errors:
        numbers = f"{error.confidence:.6f},{error.label_probability:.6f}"
        lines.append(f"{error.line},{error.label},{error.predicted},{numbers}")
    text = "\n".join(lines) + "\n"
    if table.is_file() and table.read_bytes() != text.encode():  # perhaps edited by the user
        backup = backup_existing(table)
        progress.note(f"the table that was there is now {backup}")
    write_text(table, text, durable=False)
    if errors:
        shown = errors[:MOST_SHOWN]
        style.save(digit_grids.label_errors(dataset.train.images, shown, len(errors)), figure)
    else:
        figure.unlink(missing_ok=True)  # left by an earlier evaluation
    rows = len(predicted_rows(probabilities))
    return LabelErrors(run.name, rows, errors, table, figure if errors else None)
