"""No row is evaluated with a temperature, or a weight, that was fitted on it."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.ensembling.cross_validation import CV_FOLDS, make_folds
from tests.support.probabilities import noisy_probs, random_labels

LABELS = random_labels()
ROWS = np.arange(50, 550)


def test_every_row_is_validated_once_in_stratified_folds() -> None:
    folds = make_folds(noisy_probs(LABELS, 2, 1)[None], LABELS, ROWS, calibrated=False)
    assert len(folds) == CV_FOLDS
    assert (np.sum([fold.validation for fold in folds], axis=0) == 1).all()
    counts = np.stack([np.bincount(LABELS[ROWS][fold.validation], minlength=10) for fold in folds])
    assert (np.ptp(counts, axis=0) <= 1).all()


@pytest.mark.parametrize("row", [50, 133, 549])
def test_a_row_does_not_influence_the_temperature_of_its_own_fold(row: int) -> None:
    """Make one prediction confidently wrong: only the folds that fit on it may change."""
    run = noisy_probs(LABELS, 2, 1)
    before = make_folds(run[None], LABELS, ROWS, calibrated=True)
    run[row] = np.eye(10)[(LABELS[row] + 1) % 10]
    after = make_folds(run[None], LABELS, ROWS, calibrated=True)
    others = row != ROWS
    for old, new in zip(before, after, strict=True):
        assert (old.validation == new.validation).all()
        unchanged = (old.probabilities[:, others] == new.probabilities[:, others]).all()
        assert bool(unchanged) == old.validation[row - ROWS[0]]


def test_rows_that_are_not_common_are_fitted_on_in_every_fold() -> None:
    run = noisy_probs(LABELS, 2, 1)
    before = make_folds(run[None], LABELS, ROWS, calibrated=True)
    run[3] = np.eye(10)[(LABELS[3] + 1) % 10]
    after = make_folds(run[None], LABELS, ROWS, calibrated=True)
    for old, new in zip(before, after, strict=True):
        assert (old.probabilities != new.probabilities).any()


def test_no_rows_give_no_folds() -> None:
    run = np.full((1, 600, 10), np.nan, np.float32)
    assert make_folds(run, LABELS, ROWS[:0], calibrated=True) == []
    assert len(make_folds(run, LABELS, ROWS[:2], calibrated=False)) == 2
