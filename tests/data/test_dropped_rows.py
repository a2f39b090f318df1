"""Lists of rows that are never trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.dropped_rows import drop_lines, read_dropped_lines
from kaggle_digits.data.splits import Split, fingerprint, split


def write(folder: Path, text: str) -> Path:
    path = folder / "drop.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_leave_training_and_stay_in_validation(dataset: Dataset, tmp_path: Path) -> None:
    lines = read_dropped_lines(write(tmp_path, "line\n7\n2\n1079\n7\n"), dataset.train)
    assert lines == [2, 7, 1079]
    folds = split(dataset.labels, Split("folds", folds=3))
    kept = drop_lines(folds, lines, dataset.train)
    assert fingerprint(kept) == fingerprint(folds)
    for before, after in zip(folds, kept, strict=True):
        assert np.array_equal(after.val, before.val)
        assert set(before.train) - set(after.train) == {0, 5, 1077} & set(before.train)


def test_lines_are_those_of_the_file(dataset: Dataset, tmp_path: Path) -> None:
    train = replace(dataset.train, lines=np.arange(len(dataset.train)) * 2 + 2)
    for delimiter in ",;":
        text = f"label{delimiter}line\n{dataset.labels[2]}{delimiter} 6\n"
        assert read_dropped_lines(write(tmp_path, text), train) == [6]
    folds = split(dataset.labels, Split("all"))
    assert set(folds[0].train) - set(drop_lines(folds, [6], train)[0].train) == {2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; kd labels RUN writes such a list"),
        ("label\n3\n", "has no column line"),
        ("line\n" + "x" * 200_000, r"drop\.csv, line \d: not CSV"),
        ("line\n", "lists no rows, so there is nothing to drop"),
        ("line\n2\nx\n", r"drop\.csv, line 3: train\.csv has no image in line 'x'"),
        ("line\n1\n", "has no image in line '1'"),
        ("line\n1080\n", "has no image in line '1080'"),
        ("line,label\n2,99\n", r"line 2 of train\.csv is labelled \d, not '99'"),
    ],
)
def test_faults_are_named(text: str, message: str, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_dropped_lines(write(tmp_path, text), dataset.train)


def test_a_digit_cannot_lose_all_its_rows(dataset: Dataset) -> None:
    lines = (np.flatnonzero(dataset.labels == 4) + 2).tolist()
    with pytest.raises(DataError, match="all training rows of digit 4"):
        drop_lines(split(dataset.labels, Split()), lines, dataset.train)
