"""No row is judged by a temperature, or a weight, that was learnt on it."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.ensembling.cross_validation import JUDGING_FOLDS, judging_folds
from tests.support.probabilities import noisy_probs, random_labels

LABELS = random_labels()
ROWS = np.arange(50, 550)


def test_each_row_is_judged_once_and_every_fold_has_its_share_of_each_digit() -> None:
    folds = judging_folds(noisy_probs(LABELS, 2, 1)[None], LABELS, ROWS, calibrated=False)
    assert len(folds) == JUDGING_FOLDS
    assert (np.sum([fold.judged for fold in folds], axis=0) == 1).all()
    shares = np.stack([np.bincount(LABELS[ROWS][fold.judged], minlength=10) for fold in folds])
    assert (np.ptp(shares, axis=0) <= 1).all()


@pytest.mark.parametrize("row", [50, 133, 549])
def test_a_row_has_no_part_in_the_temperature_it_is_judged_by(row: int) -> None:
    """Make one prediction surely wrong: only the folds that learn on it may change."""
    run = noisy_probs(LABELS, 2, 1)
    before = judging_folds(run[None], LABELS, ROWS, calibrated=True)
    run[row] = np.eye(10)[(LABELS[row] + 1) % 10]
    after = judging_folds(run[None], LABELS, ROWS, calibrated=True)
    others = row != ROWS
    for old, new in zip(before, after, strict=True):
        assert (old.judged == new.judged).all()
        unchanged = bool((old.known[:, others] == new.known[:, others]).all())
        assert unchanged == old.judged[row - ROWS[0]]


def test_rows_that_are_not_common_are_learnt_on_in_every_fold() -> None:
    run = noisy_probs(LABELS, 2, 1)
    before = judging_folds(run[None], LABELS, ROWS, calibrated=True)
    run[3] = np.eye(10)[(LABELS[3] + 1) % 10]
    after = judging_folds(run[None], LABELS, ROWS, calibrated=True)
    for old, new in zip(before, after, strict=True):
        assert (old.known != new.known).any()


def test_no_row_no_fold() -> None:
    run = np.full((1, 600, 10), np.nan, np.float32)
    assert judging_folds(run, LABELS, ROWS[:0], calibrated=True) == []
    assert len(judging_folds(run, LABELS, ROWS[:2], calibrated=False)) == 2
