"""Probable label errors: planted ones are found, and few others."""

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


def labels_with_errors() -> NDArray[np.uint8]:
    """Return TRUTH with another label in every hundredth row."""
    labels = TRUTH.copy()
    labels[PLANTED] = (labels[PLANTED] + 3) % 10
    return labels


def test_planted_errors_are_found_with_the_correct_suggestion() -> None:
    labels = labels_with_errors()
    errors = find_label_errors(noisy_probs(TRUTH, 0.6, seed=1), labels)
    rows = [error.row for error in errors]
    assert len(set(rows) & set(PLANTED.tolist())) >= 0.8 * len(PLANTED)
    assert len(rows) <= 1.2 * len(PLANTED)
    for error in errors:
        assert error.label == labels[error.row] != error.predicted
    probabilities = [error.label_probability for error in errors]
    assert probabilities == sorted(probabilities)
    correct = [e for e in errors if e.predicted == TRUTH[e.row]]
    assert len(correct) >= 0.9 * len(errors)


def test_rows_that_were_not_held_out_are_ignored() -> None:
    oof = noisy_probs(TRUTH, 0.6, seed=1)
    oof[:1000] = np.nan
    rows = [error.row for error in find_label_errors(oof, labels_with_errors())]
    assert rows
    assert min(rows) >= 1000


def test_perfect_predictions_have_no_errors_even_if_a_class_is_missing() -> None:
    labels = TRUTH[TRUTH != 4]
    assert find_label_errors(np.eye(10, dtype=np.float32)[labels], labels) == ()


def test_table_and_figure_are_written(run: Run, dataset: Dataset) -> None:
    labels = dataset.labels.copy()
    labels[[7, 8]] = (labels[[7, 8]] + 1) % 10
    wrong = replace(dataset, train=replace(dataset.train, labels=labels))
    perfect = 0.001 + 0.99 * np.eye(10, dtype=np.float32)[dataset.labels]
    result = write_label_errors(run, wrong, perfect)
    assert sorted(error.row for error in result.errors) == [7, 8]
    with result.table.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert sorted(int(line["line"]) for line in lines) == [9, 10]
    assert {int(line["suggested"]) for line in lines} == set(dataset.labels[[7, 8]].tolist())
    assert result.figure is not None
    assert result.figure.stat().st_size > 5_000
    clean = write_label_errors(run, dataset, perfect)
    assert (clean.errors, clean.figure) == ((), None)
    assert not result.figure.exists()


def test_missing_cleanlab_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(UsageError, match=r"needs cleanlab; install it: pip install"):
        find_label_errors(noisy_probs(TRUTH, 0.6, seed=1), TRUTH)
