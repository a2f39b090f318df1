"""Facts about data with known faults planted in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import Dataset, Source
from kaggle_digits.data.digits import Digits
from kaggle_digits.evaluation.data_inspection import inspect, save_figures
from tests.support import small_runs


def test_clean_data(dataset: Dataset) -> None:
    found = inspect(dataset)
    assert (found.train.rows, found.train.columns) == (small_runs.N_TRAIN, 785)
    assert (found.test.rows, found.test.columns) == (small_runs.N_TEST, 784)
    assert (found.train.lowest, found.train.highest, found.train.missing) == (0, 240, 0)
    assert found.train.bytes == small_runs.N_TRAIN * 784
    assert sum(found.classes) == small_runs.N_TRAIN
    assert (found.train.duplicates, found.contradictions, found.test_in_train) == (0, 0, 0)


def test_planted_faults_are_counted() -> None:
    images, labels = small_runs.digits(30)
    train, test = images[:20].copy(), images[20:].copy()
    train[1] = train[2] = train[0]  # two rows that equal an earlier one
    train[5] = 0
    test[:3] = train[7]
    test[4] = train[8]
    labels[:20] = [4, 4, 9, *labels[3:20]]  # … one of them under another label
    found = inspect(
        Dataset(
            Digits(train, labels[:20], "t"), Digits(test, None, "u"), np.arange(10), Source("x")
        )
    )
    assert found.source == "x"
    assert (found.train.duplicates, found.test.duplicates) == (2, 2)
    assert (found.train.blank, found.test.blank) == (1, 0)
    assert found.contradictions == 1
    assert found.test_in_train == 4


def test_pictures_are_saved_and_repeatable(dataset: Dataset, tmp_path: Path) -> None:
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
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(paths, other, strict=True)] == [
        True,
        True,
        False,
        True,
    ]
