"""Comparisons of runs on the same held-out rows."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.evaluation.comparison import compare_runs, conclusions
from kaggle_digits.metrics.scores import mcnemar
from tests.support.probabilities import LABELS, wrong_on


def test_the_best_run_comes_first_and_the_others_are_tested_against_it() -> None:
    compared = compare_runs({"poor": wrong_on(range(40)), "good": wrong_on(range(38, 42))}, LABELS)
    assert [item.run for item in compared] == ["good", "poor"]
    assert compared[0].score.accuracy == 196 / 200
    assert compared[0].against_best is None
    rows = np.arange(200)
    assert compared[1].against_best == mcnemar(rows >= 40, ~np.isin(rows, range(38, 42)))
    assert (compared[1].against_best.gained, compared[1].against_best.lost) == (38, 2)
    (sentence,) = conclusions(compared)
    assert sentence.startswith("good is significantly better than poor: 38 rows")


def test_a_small_lead_may_be_chance_and_equal_runs_are_called_equal() -> None:
    small, equal = (
        conclusions(compare_runs({"a": wrong_on(range(3)), "b": wrong_on(other)}, LABELS))[0]
        for other in (range(5, 9), range(5, 8))
    )
    assert small.startswith("a is ahead of b, but this may be chance: 4 rows only a")
    assert equal.startswith("b and a have the same accuracy: 3 rows")


def test_only_common_rows_count_and_selection_bias_is_mentioned() -> None:
    oofs = {
        "a": wrong_on(range(2), missing=range(100, 200)),
        "b": wrong_on(range(50), missing=range(30)),
        "c": wrong_on(range(40)),
    }
    compared = compare_runs(oofs, LABELS)
    assert {item.score.n for item in compared} == {70}
    assert [item.run for item in compared] == ["a", "c", "b"]
    assert conclusions(compared)[-1].startswith("the best of 3 was chosen on the rows")


def test_a_single_run_or_disjoint_runs_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match=r"at least two runs: `kd.compare\(RUN, RUN\)`"):
        compare_runs({"a": wrong_on(range(2))}, LABELS)
    disjoint = {
        "a": wrong_on(range(2), missing=range(100)),
        "b": wrong_on(range(2), missing=range(100, 200)),
    }
    rows = {"kind": "holdout", "val_fraction": 0.1, "seed": 0}
    splits = {"a": rows | {"rows": 3000}, "b": rows}
    with pytest.raises(RunError, match=r"\(a: 10 % of 3,000 rows, seed 0; b: 10 %, seed 0\)"):
        compare_runs(disjoint, LABELS, splits=splits)
    with pytest.raises(RunError, match="a, b held out different rows"):
        compare_runs(disjoint, LABELS)


def test_runs_that_share_few_rows_are_refused_with_their_splits() -> None:
    oofs = {
        "a": wrong_on(range(2), missing=range(90)),
        "b": wrong_on(range(2), missing=range(140, 200)),
    }
    splits = {
        name: {"kind": "holdout", "val_fraction": 0.5, "seed": seed}
        for seed, name in enumerate(oofs)
    }
    with pytest.raises(RunError, match=r"\(a: 50 %, seed 0; b: 50 %, seed 1\): .* 50 of 110"):
        compare_runs(oofs, LABELS, splits=splits)
    splits["b"]["rows"] = 3000
    with pytest.raises(RunError, match=r"\(a: 50 %, seed 0; b: 50 % of 3,000 rows, seed 1\)"):
        compare_runs(oofs, LABELS, splits=splits)
    oofs["b"] = wrong_on(range(2), missing=range(145, 200))
    oofs["a"] = wrong_on(range(2), missing=range(90))
    assert compare_runs(oofs, LABELS, splits=splits)[0].score.n == 55
