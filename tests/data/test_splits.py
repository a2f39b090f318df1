"""Stratified, seeded, the same for every model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from kaggle_digits.core.errors import DataError, UsageError
from kaggle_digits.data.splits import FoldIndices, Split, fingerprint, split

LABELS: NDArray[np.uint8] = load_digits().target.astype(np.uint8)


def shares_are_exact(labels: NDArray[np.uint8], rows: NDArray[np.int64], share: float) -> bool:
    """Whether each class has its share of rows, to within one row."""
    whole = np.bincount(labels, minlength=10)
    part = np.bincount(labels[rows], minlength=10)
    return bool((np.abs(part - share * whole) <= 1).all())


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_hold_out_every_row_once(folds: int, seed: int) -> None:
    parts = split(LABELS, Split("folds", folds=folds, seed=seed))
    assert len(parts) == folds
    assert np.array_equal(np.sort(np.concatenate([p.val for p in parts])), np.arange(len(LABELS)))
    for part in parts:
        assert not set(part.train) & set(part.val)
        assert len(part.train) + len(part.val) == len(LABELS)
        assert shares_are_exact(LABELS, part.val, 1 / folds)


@given(fraction=st.floats(0.02, 0.98), seed=st.integers(0, 2**32 - 1), repeats=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_holdout_has_the_share_asked_for(fraction: float, seed: int, repeats: int) -> None:
    parts = split(LABELS, Split(val_fraction=fraction, seed=seed, repeats=repeats))
    assert len(parts) == repeats
    for part in parts:
        assert not set(part.train) & set(part.val)
        assert abs(len(part.val) - fraction * len(LABELS)) <= 1
        assert shares_are_exact(LABELS, part.val, len(part.val) / len(LABELS))


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    one, same, other = (split(LABELS, Split("folds", seed=s)) for s in (3, 3, 4))
    assert all(np.array_equal(a.val, b.val) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0].val, other[0].val)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_the_first_repeat_does_not_depend_on_how_many_follow() -> None:
    for kind in ("holdout", "folds"):
        once = split(LABELS, Split(kind, repeats=1))
        twice = split(LABELS, Split(kind, repeats=2))
        assert len(twice) == 2 * len(once)
        assert np.array_equal(once[0].val, twice[0].val)
        assert not np.array_equal(twice[0].val, twice[len(once)].val)


def test_all_holds_nothing_out() -> None:
    (part,) = split(LABELS, Split("all"))
    assert np.array_equal(part.train, np.arange(len(LABELS)))
    assert not len(part.val)


@given(rows=st.integers(20, len(LABELS)))
@settings(max_examples=20, deadline=None)
def test_fewer_rows_are_chosen_in_proportion(rows: int) -> None:
    (part,) = split(LABELS, Split("all", rows=rows))
    assert len(part.train) == rows
    assert shares_are_exact(LABELS, part.train, rows / len(LABELS))


def test_the_same_rows_are_chosen_for_the_same_seed() -> None:
    first, again = (split(LABELS, Split("all", rows=500, seed=7))[0] for _ in range(2))
    assert isinstance(first, FoldIndices)
    assert np.array_equal(first.train, again.train)


def test_a_class_with_fewer_rows_than_folds_is_named() -> None:
    labels = np.array([0] * 20 + [7] * 3, np.uint8)
    with pytest.raises(DataError, match="digit 7 has only 3 labelled rows, fewer than the 5"):
        split(labels, Split("folds", folds=5))
    with pytest.raises(DataError, match="digit 7 has only 1"):
        split(labels[:21], Split())


def test_a_part_too_small_for_every_class_is_refused() -> None:
    with pytest.raises(DataError, match="fewer rows than the 10 classes"):
        split(LABELS[:60], Split(val_fraction=0.05))


@pytest.mark.parametrize(
    "wrong",
    [
        {"val_fraction": 0.0},
        {"val_fraction": 1.0},
        {"val_fraction": -0.1},
        {"val_fraction": float("nan")},
        {"folds": 0},
        {"folds": 1},
        {"folds": -3},
        {"repeats": 0},
        {"seed": -1},
        {"rows": 0},
        {"rows": -5},
    ],
)
def test_values_that_never_work_are_usage_errors(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        Split(**wrong)  # type: ignore[arg-type]


def test_more_rows_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="more than the 1797 labelled rows"):
        split(LABELS, Split(rows=5000))
