"""Rows of train.csv that are never trained on: a CSV list such as ``kd labels`` writes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.csv_reader import quote_cell, read_cells
from kaggle_digits.data.digits import Digits
from kaggle_digits.data.splits import FoldIndices

FORM = "kd labels RUN writes such a list: a column line with lines of train.csv, 1 is its header"


def read_dropped_lines(path: Path, train: Digits) -> list[int]:
    """Read the lines of train.csv in the column ``line`` of a CSV file, ascending.

    Labels in a column ``label``, if there is one, must be those of train.csv. Raises DataError,
    which names the line of the list.
    """
    assert train.labels is not None
    label_of = dict(zip(map(str, train.row_lines), map(str, train.labels), strict=True))
    lines = set()
    for where, (line, label) in read_cells(path, ["line"], FORM, optional=["label"]):
        if line not in label_of:
            raise DataError(f"{where}: train.csv has no image in line {quote_cell(line)}; {FORM}")
        if label not in ("", label_of[line]):
            raise DataError(
                f"{where}: line {line} of train.csv is labelled {label_of[line]}, not "
                f"{quote_cell(label)}; this list was made for another train.csv"
            )
        lines.add(int(line))
    if not lines:
        raise DataError(f"{path} lists no rows, so there is nothing to drop")
    return sorted(lines)


def drop_lines(
    folds: Sequence[FoldIndices], lines: Sequence[int], train: Digits
) -> list[FoldIndices]:
    """Return the folds without the rows on these lines of train.csv in training.

    Validation rows stay, so that runs with and without the list are scored on the same ones.
    DataError is raised if a fold loses all training rows of a digit.
    """
    assert train.labels is not None
    dropped = np.flatnonzero(np.isin(train.row_lines, lines))
    kept = [FoldIndices(np.setdiff1d(fold.train, dropped), fold.val) for fold in folds]
    for before, after in zip(folds, kept, strict=True):
        lost = np.setdiff1d(train.labels[before.train], train.labels[after.train])
        if len(lost):
            raise DataError(f"the rows to drop are all training rows of digit {lost[0]}")
    return kept
