"""Likely label errors: those that were planted are found, and little else."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation.label_errors import find_label_errors, write_label_errors
from kaggle_digits.runs.run import Run
from tests.support.probabilities import noisy_probs, random_labels

TRUTH = random_labels(2000)
PLANTED = np.arange(100, 2000, 100)


def with_errors() -> NDArray[np.uint8]:
    """TRUTH with another label on every hundredth row."""
    labels = TRUTH.copy()
    labels[PLANTED] = (labels[PLANTED] + 3) % 10
    return labels


def test_planted_errors_are_found_with_the_right_suggestion() -> None:
    labels = with_errors()
    found = find_label_errors(noisy_probs(TRUTH, 0.6, seed=1), labels)
    rows = [item.prediction.row for item in found]
    assert len(set(rows) & set(PLANTED.tolist())) >= 0.8 * len(PLANTED)
    assert len(rows) <= 1.2 * len(PLANTED)
    for item in found:
        assert item.prediction.label == labels[item.prediction.row] != item.prediction.predicted
    chances = [item.label_probability for item in found]
    assert chances == sorted(chances)
    right = [item for item in found if item.prediction.predicted == TRUTH[item.prediction.row]]
    assert len(right) >= 0.9 * len(found)


def test_rows_that_were_never_held_out_are_left_alone() -> None:
    answers = noisy_probs(TRUTH, 0.6, seed=1)
    answers[:1000] = np.nan
    rows = [item.prediction.row for item in find_label_errors(answers, with_errors())]
    assert rows
    assert min(rows) >= 1000


def test_perfect_answers_hold_no_errors_and_a_class_may_be_missing() -> None:
    labels = TRUTH[TRUTH != 4]
    assert find_label_errors(np.eye(10, dtype=np.float32)[labels], labels) == ()


def test_table_and_picture(run: Run, dataset: Dataset, oof: NDArray[np.float32]) -> None:
    labels = dataset.labels.copy()
    labels[[7, 8]] = (labels[[7, 8]] + 1) % 10
    wrong = replace(dataset, train=replace(dataset.train, labels=labels))
    perfect = 0.001 + 0.99 * np.eye(10, dtype=np.float32)[dataset.labels]
    found = write_label_errors(run, wrong, perfect)
    assert sorted(item.prediction.row for item in found.errors) == [7, 8]
    with found.table.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert sorted(int(line["line"]) for line in lines) == [9, 10]
    assert {int(line["suggested"]) for line in lines} == set(dataset.labels[[7, 8]].tolist())
    assert found.figure is not None
    assert found.figure.stat().st_size > 5_000
    clean = write_label_errors(run, dataset, perfect)
    assert (clean.errors, clean.figure) == ((), None)
    assert not found.figure.exists()


def test_without_cleanlab_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(UsageError, match="pip install cleanlab"):
        find_label_errors(noisy_probs(TRUTH, 0.6, seed=1), TRUTH)
