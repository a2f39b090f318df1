"""Splits are stratified, seeded and the same for every model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from kaggle_digits.core.errors import DataError, UsageError
from kaggle_digits.data.splits import (
    FoldIndices,
    Split,
    count_shared_images,
    describe_split,
    fingerprint,
    split,
)

LABELS: NDArray[np.uint8] = load_digits().target.astype(np.uint8)


def is_stratified(labels: NDArray[np.uint8], rows: NDArray[np.int64], share: float) -> bool:
    """Whether each class has its share of rows within one row."""
    all_counts = np.bincount(labels, minlength=10)
    counts = np.bincount(labels[rows], minlength=10)
    return bool((np.abs(counts - share * all_counts) <= 1).all())


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("folds", [2, 5, 7])
def test_every_row_is_validated_in_exactly_one_fold(folds: int, seed: int) -> None:
    found = split(LABELS, Split("folds", folds=folds, seed=seed))
    assert len(found) == folds
    assert np.array_equal(
        np.sort(np.concatenate([fold.val for fold in found])), np.arange(len(LABELS))
    )
    for fold in found:
        assert not set(fold.train) & set(fold.val)
        assert len(fold.train) + len(fold.val) == len(LABELS)
        assert is_stratified(LABELS, fold.val, 1 / folds)


@given(fraction=st.floats(0.02, 0.98), seed=st.integers(0, 2**32 - 1), repeats=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_holdout_has_the_requested_share(fraction: float, seed: int, repeats: int) -> None:
    found = split(LABELS, Split(val_fraction=fraction, seed=seed, repeats=repeats))
    assert len(found) == repeats
    for fold in found:
        assert not set(fold.train) & set(fold.val)
        assert abs(len(fold.val) - fraction * len(LABELS)) <= 1
        assert is_stratified(LABELS, fold.val, len(fold.val) / len(LABELS))


def test_rows_depend_on_the_seed_only() -> None:
    one, same, other = (split(LABELS, Split("folds", seed=s)) for s in (3, 3, 4))
    assert all(np.array_equal(a.val, b.val) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0].val, other[0].val)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_first_repeat_does_not_depend_on_the_number_of_repeats() -> None:
    for kind in ("holdout", "folds"):
        once = split(LABELS, Split(kind, repeats=1))
        twice = split(LABELS, Split(kind, repeats=2))
        assert len(twice) == 2 * len(once)
        assert np.array_equal(once[0].val, twice[0].val)
        assert not np.array_equal(twice[0].val, twice[len(once)].val)


def test_kind_all_has_no_validation_rows() -> None:
    (fold,) = split(LABELS, Split("all"))
    assert np.array_equal(fold.train, np.arange(len(LABELS)))
    assert not len(fold.val)


@given(rows=st.integers(20, len(LABELS)))
@settings(max_examples=20, deadline=None)
def test_sampled_rows_are_stratified(rows: int) -> None:
    (fold,) = split(LABELS, Split("all", rows=rows))
    assert len(fold.train) == rows
    assert is_stratified(LABELS, fold.train, rows / len(LABELS))


def test_sampled_rows_depend_on_the_seed_only() -> None:
    first, again = (split(LABELS, Split("all", rows=500, seed=7))[0] for _ in range(2))
    assert isinstance(first, FoldIndices)
    assert np.array_equal(first.train, again.train)


def test_class_with_fewer_rows_than_folds_is_reported() -> None:
    labels = np.array([0] * 20 + [7] * 3, np.uint8)
    with pytest.raises(DataError, match="digit 7 has only 3 labelled rows, fewer than the 5"):
        split(labels, Split("folds", folds=5))
    with pytest.raises(DataError, match="digit 7 has only 1"):
        split(labels[:21], Split())
    with pytest.raises(DataError, match="every labelled row is a 0; a model needs at least two"):
        split(labels[:20], Split())


def test_validation_set_smaller_than_the_number_of_classes_is_refused() -> None:
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
        {"folds": "3"},
        {"folds": 2.5},
        {"seed": "a"},
    ],
)
def test_invalid_values_raise_usage_errors(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(wrong))}="):
        Split(**wrong)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_those_of_python() -> None:
    made = Split(folds=np.int64(3), seed=np.uint8(7), rows=np.int32(50))  # type: ignore[arg-type]
    assert json.dumps(asdict(made)) == json.dumps(asdict(Split(folds=3, seed=7, rows=50)))


def test_the_kind_follows_from_the_settings() -> None:
    assert Split() == Split("holdout", val_fraction=0.1)
    assert Split(folds=3) == Split("folds", folds=3)
    assert Split(folds=5).kind == "folds"
    assert len(split(LABELS, Split(folds=3))) == 3
    assert replace(Split("all"), seed=1) == Split("all", seed=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "kfold"}, r"`kind='kfold'` is unknown; one of: holdout, folds, all"),
        ({"kind": "holdout", "folds": 3}, r"`folds=3` needs `kind='folds'`, not 'holdout'"),
        ({"folds": 3, "val_fraction": 0.2}, r"`val_fraction=0.2` needs `kind='holdout'`"),
        ({"kind": "all", "val_fraction": 0.2}, r"`val_fraction=0.2` needs `kind='holdout'`"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Split(**wrong)


def test_more_rows_than_the_data_has_is_refused() -> None:
    with pytest.raises(UsageError, match="more than the 1797 labelled rows"):
        split(LABELS, Split(rows=5000))


def test_validation_rows_whose_image_is_trained_on_are_counted() -> None:
    images = np.arange(8, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    folds = [
        FoldIndices(np.arange(4), np.arange(4, 8)),
        FoldIndices(np.arange(4, 8), np.arange(4)),
    ]
    assert count_shared_images(images, folds) == 0
    images[5] = images[4]  # both in one fold
    assert count_shared_images(images, folds) == 0
    images[7] = images[1]
    assert count_shared_images(images, folds[:1]) == 1
    assert count_shared_images(images, folds) == 2
    assert count_shared_images(images, [FoldIndices(np.arange(8), np.arange(0))]) == 0


def test_descriptions_of_splits() -> None:
    assert describe_split(asdict(Split(val_fraction=0.2))) == "20 %"
    assert describe_split(asdict(Split(folds=5, repeats=2))) == "5 folds × 2"
    assert describe_split({"kind": "mixed"}) == "mixed"
    assert describe_split({}) == "?"
