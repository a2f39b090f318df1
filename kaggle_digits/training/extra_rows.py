"""Extra training rows: pictures of a folder with labels.csv, prepared as ``kd classify`` does.

They join the training rows of every fold and no validation rows, so that the accuracies of runs
with and without them compare.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.core.text import plural
from kaggle_digits.data.digits import CLASSES, PIXELS, SIDE, Digits
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.imaging.labelled_folder import read_labels
from kaggle_digits.imaging.reader import PictureReader
from kaggle_digits.runs.files import explain_damage, read_array
from kaggle_digits.training.callbacks import TrainingCallback

FILE = "extra.npy"  # in a run folder, so that resuming does not need the pictures
MAX_NAMED = 3  # pictures in a message

Table = NDArray[np.uint8]  # (n, 785): label and pixels of each row, as in train.csv


def prepare(folder: Path, callback: TrainingCallback | None = None) -> Table:
    """Prepare the pictures of a folder, without those that are not a single digit.

    ``callback`` is told how many there are and which are left out. Raises DataError if labels.csv
    is missing or malformed, a picture is unreadable, or none is a digit.
    """
    reader, rows, left_out = PictureReader(), [], []
    for path, label in read_labels(folder):
        prepared = reader.prepare(path, str(path))
        if prepared.note:
            left_out.append(f"{path.name}: {prepared.note}")
        else:
            rows.append(np.append(np.uint8(label), prepared.image))
    named = "; ".join(left_out[:MAX_NAMED]) + "; …" * (len(left_out) > MAX_NAMED)
    warning = f"pictures in {folder} that are not trained on: {len(left_out):,} ({named})"
    if not rows:
        raise DataError(f"{warning}, so there is nothing to add")
    if callback:
        callback.on_message(
            f"{plural(len(rows), 'picture')} in {folder} will be trained on besides the rows of "
            "train.csv; validation has none of them"
        )
        if left_out:
            callback.on_warning(warning)
    return np.stack(rows)


def checksum(table: Table) -> str:
    return hashlib.sha256(table.tobytes()).hexdigest()


def load(folder: Path, recorded: dict[str, Any]) -> Table:
    """Load the rows that config.json records as ``extra``; RunError if they are not the same."""
    path = folder / FILE
    with explain_damage(path, f"it cannot be restored: delete {folder} and train again"):
        table: Table = read_array(path, np.uint8, (recorded["rows"], PIXELS + 1))
        if checksum(table) != recorded.get("sha256") or table[:, 0].max() >= CLASSES:
            raise ValueError("it holds other rows than those that the run was started with")
        return table


def append(
    train: Digits, folds: Sequence[FoldIndices], table: Table
) -> tuple[Digits, list[FoldIndices]]:
    """Append the extra rows to all labelled rows, and to the training rows of each fold."""
    assert train.labels is not None
    added = np.arange(len(train), len(train) + len(table))
    rows = replace(
        train,
        images=np.concatenate([train.images, table[:, 1:].reshape(-1, SIDE, SIDE)]),
        labels=np.append(train.labels, table[:, 0]),
        lines=np.append(train.row_lines, np.zeros_like(added)),  # they are in no line
    )
    return rows, [FoldIndices(np.append(fold.train, added), fold.val) for fold in folds]
