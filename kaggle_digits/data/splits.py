"""Training and validation rows: stratified, seeded, the same for every model."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError, UsageError, check_at_least, check_number
from kaggle_digits.core.text import plural
from kaggle_digits.data.digits import CLASSES, Labels

Rows = NDArray[np.int64]
Kind = Literal["holdout", "folds", "all"]
NUMBERS = {"val_fraction": float} | dict.fromkeys(("folds", "repeats", "seed", "rows"), int)
MIXED = "mixed"  # kind of the split of an ensemble whose runs held out different shares


@dataclass(frozen=True)
class Split:
    """How the labelled rows are divided into training and validation rows.

    ``Split()`` holds out 10 %, ``Split(folds=3)`` makes three folds, ``Split("all")`` holds out
    nothing.

    Attributes:
        kind: ``holdout`` (one validation set), ``folds`` (k-fold cross-validation) or ``all``
            (no validation rows); by default ``folds`` if ``folds`` is given, else ``holdout``.
        val_fraction: the share of validation rows, in (0, 1); only of ``holdout``, default 0.1.
        folds: the number of folds, at least 2; only of ``folds``, default 5.
        repeats: how often to split, each time with other validation rows.
        seed: the same data, split and seed give the same rows for every model.
        rows: how many of the labelled rows to use, chosen stratified; None for all.
    """

    kind: Kind = None  # type: ignore[assignment]  # None is replaced below, also in the next two
    val_fraction: float = None  # type: ignore[assignment]
    folds: int = None  # type: ignore[assignment]
    repeats: int = 1
    seed: int = 0
    rows: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for values that fit no data set or not each other."""
        for name, number in NUMBERS.items():
            object.__setattr__(self, name, check_number(name, getattr(self, name), number))
        kind = self.kind or ("holdout" if self.folds is None else "folds")
        if kind not in get_args(Kind):
            raise UsageError(f"`kind={kind!r}` is unknown; one of: {', '.join(get_args(Kind))}")
        for name, default, owner in (("val_fraction", 0.1, "holdout"), ("folds", 5, "folds")):
            value = getattr(self, name)
            # The default is accepted: config.json records it, and dataclasses.replace() copies it.
            if value not in (None, default) and kind != owner:
                raise UsageError(f"`{name}={value!r}` needs `kind={owner!r}`, not {kind!r}")
            object.__setattr__(self, name, default if value is None else value)
        object.__setattr__(self, "kind", kind)
        fraction = self.val_fraction
        if not 0 < fraction < 1:
            raise UsageError(f"`val_fraction={fraction}` is not between 0 and 1; try 0.1")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"`seed={self.seed}` is outside 0 to {2**32 - 1}")
        check_at_least("folds", self.folds, 2)
        check_at_least("repeats", self.repeats, 1)
        check_at_least("rows", self.rows, CLASSES)


@dataclass(frozen=True)
class FoldIndices:
    """The rows of one fold: ascending indices into train.csv; ``val`` may be empty."""

    train: Rows
    val: Rows


def split(labels: Labels, split_config: Split) -> list[FoldIndices]:
    """Divide the rows into folds, stratified by label: the share of each class is within one row.

    Returns one FoldIndices for each model to train; the folds of the first repeat come first.

    Raises:
        DataError: there is only one class, or a class has too few rows for this split.
    """
    rows = _sample_rows(labels, split_config)
    y = labels[rows]
    if (y == y[0]).all():
        raise DataError(f"every labelled row is a {y[0]}; a model needs at least two digits")
    seed, repeats, fraction = split_config.seed, split_config.repeats, split_config.val_fraction
    if split_config.kind == "all":
        return [FoldIndices(rows, rows[:0]) for _ in range(repeats)]
    from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit

    if split_config.kind == "folds":
        folds = split_config.folds
        _check_class_counts(y, folds, f"`folds={folds}`")
        splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        pairs = list(splitter.split(y, y))
    else:
        _check_class_counts(y, 2, f"`val_fraction={fraction}`")
        classes, held_out = len(np.unique(y)), int(np.ceil(fraction * len(y)))
        if min(held_out, len(y) - held_out) < classes:
            fault = f"leaves a part with fewer rows than the {classes} classes"
            advice = "use more rows or a fraction nearer 0.5"
            raise DataError(f"`val_fraction={fraction}` of {len(y)} rows {fault}; {advice}")
        # One splitter per repeat, so that the first repeat does not depend on their number.
        later = [np.random.SeedSequence([seed, i]).generate_state(1)[0] for i in range(1, repeats)]
        pairs = []
        for repeat_seed in (seed, *later):
            splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=int(repeat_seed))
            pairs += splitter.split(y, y)
    return [FoldIndices(np.sort(rows[train]), np.sort(rows[val])) for train, val in pairs]


def count_shared_images(images: NDArray[np.uint8], folds: Sequence[FoldIndices]) -> int:
    """Count the validation rows whose image is also among the training rows of their fold.

    ``images`` are (n_train, 28, 28) uint8. A row counts once, in however many folds.
    """
    first_rows: dict[bytes, int] = {}
    first_row = np.array(
        [first_rows.setdefault(image.tobytes(), row) for row, image in enumerate(images)]
    )
    if len(first_rows) == len(images):
        return 0
    shared = [fold.val[np.isin(first_row[fold.val], first_row[fold.train])] for fold in folds]
    return len(np.unique(np.concatenate(shared)))


def fingerprint(folds: Sequence[FoldIndices]) -> str:
    """Return a short hash of the validation rows, equal for runs with the same split."""
    val_rows = b"".join(fold.val.astype("<i8").tobytes() + b"|" for fold in folds)
    return hashlib.sha256(val_rows).hexdigest()[:16]


def describe_split(split: Mapping[str, Any]) -> str:
    """Describe what a split in config.json held out: "10 %", "5 folds × 2", "mixed" or "?"."""
    repeats = f" × {split['repeats']}" if (split.get("repeats") or 1) > 1 else ""
    if split.get("kind") == "folds":
        return f"{split.get('folds') or '?'} folds{repeats}"
    if split.get("kind") == "all":
        return f"nothing{repeats}"
    if split.get("kind") == MIXED:
        return MIXED
    fraction = split.get("val_fraction")
    return ("?" if fraction is None else f"{100 * fraction:.0f} %") + repeats


def _sample_rows(labels: Labels, split_config: Split) -> Rows:
    wanted = split_config.rows
    if wanted is None or wanted == len(labels):
        return np.arange(len(labels))
    if wanted > len(labels):
        raise UsageError(f"`rows={wanted}` is more than the {len(labels)} labelled rows")
    from sklearn.utils import resample

    options = {"n_samples": wanted, "stratify": labels, "random_state": split_config.seed}
    sampled = resample(np.arange(len(labels)), replace=False, **options)
    return np.sort(np.asarray(sampled, np.int64))


def _check_class_counts(labels: Labels, least: int, option: str) -> None:
    counts = np.bincount(labels)
    for digit in np.flatnonzero((counts > 0) & (counts < least)):
        need = f"fewer than the {least} that {option} needs; use fewer folds or more rows"
        raise DataError(f"digit {digit} has only {plural(counts[digit], 'labelled row')}, {need}")
