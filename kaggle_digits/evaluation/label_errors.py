"""Labels of train.csv that are likely wrong: confident learning on out-of-fold probabilities.

Northcutt, Jiang, Chuang 2021 ("Confident learning: estimating uncertainty in dataset labels",
JAIR 70): a row counts as another digit where a network that never saw its label is surer of that
digit than it usually is of rows that carry its label. cleanlab, the authors' own package, counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import write_text
from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.calibration import apply_temperature, temperature
from kaggle_digits.metrics.predictions import Answer, chosen_answers
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.run import Probabilities, Run

TABLE, PICTURE = "label-errors.csv", "label-errors"
COLUMNS = ["line", "label", "suggested", "confidence", "label_probability"]
MOST_SHOWN = 48


@dataclass(frozen=True)
class LabelError:
    """A row whose label is likely wrong.

    Attributes:
        answer: the row, its label, and what the run says instead.
        label_probability: what the run gives to the label itself, 0 to 1.
    """

    answer: Answer
    label_probability: float


@dataclass(frozen=True)
class LabelErrors:
    """What ``label_errors`` found and wrote.

    Attributes:
        run: the run's name.
        rows: how many held-out rows were looked at.
        found: least likely label first.
        table: path of the CSV.
        picture: path of the picture; None where nothing was found.
    """

    run: str
    rows: int
    found: tuple[LabelError, ...]
    table: Path
    picture: Path | None


def find_label_errors(
    probabilities: Probabilities, labels: NDArray[np.uint8]
) -> tuple[LabelError, ...]:
    """Rows whose label is likely wrong, the least likely label first.

    Args:
        probabilities: (n_train, 10) float32 of networks that never saw the row; rows of NaN are
            left out. They are brought to one temperature first, so that label smoothing makes no
            network look unsure.
        labels: (n_train,) uint8.

    Raises:
        UsageError: cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise UsageError(
            f"kd labels wants cleanlab ({error}); install it: pip install cleanlab"
        ) from error
    rows = predicted_rows(probabilities)
    truth = labels[rows]
    known = apply_temperature(probabilities[rows], temperature(probabilities, labels))
    # cleanlab wants each class from 0 up; a small run may lack some.
    present = np.unique(truth)
    shares = known[:, present] / known[:, present].sum(axis=1, keepdims=True)
    places = find_label_issues(
        np.searchsorted(present, truth),
        shares,
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    places = np.asarray(places, np.int64)
    answers = chosen_answers(known, truth, rows, places)
    chances = known[places, truth[places]]
    return tuple(
        LabelError(answer, float(chance))
        for answer, chance in zip(answers, chances, strict=True)
        if answer.predicted != answer.label
    )


def label_errors(run: Run, dataset: Dataset, probabilities: Probabilities) -> LabelErrors:
    """Find likely label errors; write their table and picture into the run folder.

    Args:
        run: finished.
        dataset: the data it was trained on.
        probabilities: (n_train, 10), its held-out ones.

    Raises:
        UsageError: cleanlab is not installed.
        StorageError: the run folder cannot be written.
    """
    from kaggle_digits.evaluation.evaluate import FIGURES
    from kaggle_digits.plots import digit_grids, style

    found = find_label_errors(probabilities, dataset.labels)
    table = run.path / TABLE
    write_text(table, _as_csv(found), durable=False)
    picture = run.path / FIGURES / f"{PICTURE}.png"
    if found:
        answers = [item.answer for item in found[:MOST_SHOWN]]
        images = dataset.train.images[[answer.row for answer in answers]]
        style.save(digit_grids.label_errors(images, answers, len(found)), picture)
    else:
        picture.unlink(missing_ok=True)  # of an earlier run of the command
    rows = len(predicted_rows(probabilities))
    return LabelErrors(run.name, rows, found, table, picture if found else None)


def _as_csv(found: Sequence[LabelError]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in found:
        answer = item.answer
        writer.writerow(
            [
                answer.line,
                answer.label,
                answer.predicted,
                f"{answer.confidence:.6f}",
                f"{item.label_probability:.6f}",
            ]
        )
    return text.getvalue()
