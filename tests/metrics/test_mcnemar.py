"""McNemar's exact test."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.metrics.mcnemar import McNemarResult, mcnemar


def test_only_rows_on_which_one_model_is_correct_count() -> None:
    rows = np.arange(100)
    result = mcnemar(rows >= 8, ~np.isin(rows, [50, 51]))
    assert (result.gained, result.lost) == (8, 2)
    # Of 10 rows, 8 or more in one direction: (45 + 10 + 1) / 1024, and the same in the other.
    assert result.p_value == pytest.approx(2 * 56 / 1024)
    assert not result.significant
    assert McNemarResult(20, 2, 0.0001).significant


def test_equal_models_have_p_value_1() -> None:
    correct = np.arange(10) > 3
    assert mcnemar(correct, correct) == McNemarResult(0, 0, 1.0)
