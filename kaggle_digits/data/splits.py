"""Which rows are trained on and which are held out: stratified, seeded, whatever the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError, UsageError
from kaggle_digits.data.digits import CLASSES

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """How the labelled rows are divided.

    Attributes:
        kind: ``holdout`` (one part held out), ``folds`` (each row held out once a repeat) or
            ``all`` (nothing held out).
        val_fraction: the share held out, in (0, 1); of ``holdout`` only.
        folds: how many; of ``folds`` only, at least 2.
        repeats: how often, each time with other rows held out; at least 1.
        seed: the same data, seed and k give the same rows whatever the model.
        rows: how many labelled rows are used at all, chosen stratified; None for all.
    """

    kind: Literal["holdout", "folds", "all"] = "holdout"
    val_fraction: float = 0.1
    folds: int = 5
    repeats: int = 1
    seed: int = 0
    rows: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for values that no data could make work."""
        if not 0 < self.val_fraction < 1:
            raise UsageError(
                f"--val-fraction {self.val_fraction} is not between 0 and 1; try --val-fraction 0.1"
            )
        if self.folds < 2:
            raise UsageError(f"--folds {self.folds} is too few; at least 2, for example --folds 5")
        if self.repeats < 1:
            raise UsageError(f"--repeats {self.repeats} is too few; at least 1")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} is outside 0 to {2**32 - 1}")
        if self.rows is not None and self.rows < CLASSES:
            raise UsageError(f"--rows {self.rows} is too few; at least {CLASSES}")

    @property
    def members(self) -> int:
        """How many models this split trains."""
        return self.repeats * (self.folds if self.kind == "folds" else 1)


@dataclass(frozen=True)
class FoldIndices:
    """The rows of one member: indices into train.csv, ascending; ``val`` may be empty."""

    train: Rows
    val: Rows


def split(labels: NDArray[np.uint8], split_config: Split) -> list[FoldIndices]:
    """Divide the rows of ``labels`` ((n,) uint8); one Part a member, folds within repeats.

    The share of each class in every part is within one row of exact.

    Raises:
        DataError: a class has too few rows for this split.
    """
    rows = _chosen_rows(labels, split_config)
    y = labels[rows]
    if split_config.kind == "all":
        return [FoldIndices(rows, rows[:0]) for _ in range(split_config.repeats)]
    from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit

    _check_classes(y, split_config)
    if split_config.kind == "folds":
        splitter = RepeatedStratifiedKFold(
            n_splits=split_config.folds,
            n_repeats=split_config.repeats,
            random_state=split_config.seed,
        )
        halves = list(splitter.split(y, y))
    else:
        # One splitter a repeat: the first repeat is the same however many follow.
        halves = [
            next(
                StratifiedShuffleSplit(
                    1,
                    test_size=split_config.val_fraction,
                    random_state=_repeat_seed(split_config.seed, repeat),
                ).split(y, y)
            )
            for repeat in range(split_config.repeats)
        ]
    return [FoldIndices(np.sort(rows[train]), np.sort(rows[val])) for train, val in halves]


def fingerprint(parts: Sequence[FoldIndices]) -> str:
    """A short hash of who is held out with whom: equal for runs whose splits are the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.val.astype("<i8").tobytes() + b"|")
    return digest.hexdigest()[:16]


def _chosen_rows(labels: NDArray[np.uint8], split_config: Split) -> Rows:
    if split_config.rows is None or split_config.rows == len(labels):
        return np.arange(len(labels))
    if split_config.rows > len(labels):
        raise UsageError(f"--rows {split_config.rows} is more than the {len(labels)} labelled rows")
    from sklearn.utils import resample

    chosen = resample(
        np.arange(len(labels)),
        replace=False,
        n_samples=split_config.rows,
        stratify=labels,
        random_state=split_config.seed,
    )
    return np.sort(np.asarray(chosen, np.int64))


def _repeat_seed(seed: int, repeat: int) -> int:
    return seed if repeat == 0 else int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])


def _check_classes(labels: NDArray[np.uint8], split_config: Split) -> None:
    if split_config.kind == "folds":
        _check_rows_a_class(labels, split_config.folds, f"--folds {split_config.folds}")
        return
    _check_rows_a_class(labels, 2, f"--val-fraction {split_config.val_fraction}")
    present = len(np.unique(labels))
    held_out = int(np.ceil(split_config.val_fraction * len(labels)))
    if min(held_out, len(labels) - held_out) < present:
        raise DataError(
            f"--val-fraction {split_config.val_fraction} of {len(labels)} rows leaves a part with "
            f"fewer rows than the {present} classes; use more rows or a fraction nearer 0.5"
        )


def _check_rows_a_class(labels: NDArray[np.uint8], least: int, option: str) -> None:
    counts = np.bincount(labels, minlength=CLASSES)
    for digit in np.flatnonzero((counts > 0) & (counts < least)):
        raise DataError(
            f"digit {digit} has only {counts[digit]} labelled rows, fewer than the {least} that "
            f"{option} needs; use fewer folds or more rows"
        )
