"""Facts about data, also with faults planted in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import Dataset, Source
from kaggle_digits.data.digits import Digits
from kaggle_digits.evaluation.data_inspection import inspect, save_figures
from tests.support import small_runs


def test_data_without_faults(dataset: Dataset) -> None:
    inspection = inspect(dataset)
    train, test = inspection.train, inspection.test
    assert (train.rows, train.columns) == (small_runs.N_TRAIN, 785)
    assert (test.rows, test.columns) == (small_runs.N_TEST, 784)
    assert (train.lowest, train.highest, train.missing) == (0, 240, 0)
    assert train.bytes == small_runs.N_TRAIN * 784
    assert sum(inspection.classes) == small_runs.N_TRAIN
    assert (train.duplicates, inspection.contradictions, inspection.test_in_train) == (0, 0, 0)


def test_planted_faults_are_counted() -> None:
    images, labels = small_runs.digits(30)
    train, test = images[:20].copy(), images[20:].copy()
    train[1] = train[2] = train[0]  # two rows that equal an earlier one
    train[5] = 0
    test[:3] = train[7]
    test[4] = train[8]
    labels[:20] = [4, 4, 9, *labels[3:20]]  # … and one of the two has another label
    inspection = inspect(
        Dataset(
            Digits(train, labels[:20], "t"), Digits(test, None, "u"), np.arange(10), Source("x")
        )
    )
    assert inspection.source == "x"
    assert (inspection.train.duplicates, inspection.test.duplicates) == (2, 2)
    assert (inspection.train.blank, inspection.test.blank) == (1, 0)
    assert inspection.contradictions == 1
    assert inspection.test_in_train == 4


def test_figures_are_saved_and_repeatable(dataset: Dataset, tmp_path: Path) -> None:
    paths = save_figures(dataset, tmp_path / "new" / "figures")
    assert [path.stem for path in paths] == [
        "class-balance",
        "first-digits",
        "random-digits",
        "mean-digits",
    ]
    again = save_figures(dataset, tmp_path / "again")
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]
    other = save_figures(dataset, tmp_path / "other", seed=1)
    same = [a.read_bytes() == b.read_bytes() for a, b in zip(paths, other, strict=True)]
    assert same == [True, True, False, True]
