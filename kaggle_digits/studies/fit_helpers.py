"""One network for a study: the same training as ``kd train``, without a run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.scores import Score, score
from kaggle_digits.models.base import Classifier, load_classifier
from kaggle_digits.studies.study import Setting
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldResult, FoldTask, fit_fold
from kaggle_digits.training.recipe import Recipe

# With --quick: three epochs, or as many as pass so many rows in all.
QUICK_EPOCHS, QUICK_ROWS = 3, 5_000


class _Saying(TrainingCallback):
    """Passes epochs on as words."""

    def __init__(self, setting: Setting, what: str, epochs: int) -> None:
        self._setting, self._what, self._epochs = setting, what, epochs

    def on_epoch_end(self, row: EpochMetrics) -> None:
        self._setting.say(
            f"{self._what}: epoch {row.epoch} of {self._epochs}", row.epoch, self._epochs
        )


def fit(setting: Setting, what: str, recipe: Recipe, part: FoldIndices) -> tuple[FoldResult, Score]:
    """Train ``recipe`` on a part and score it on the rows that the part holds out.

    Args:
        setting: with ``quick``, three epochs at most are trained, and more only on few rows.
        what: is being trained, for whoever watches.
        recipe: how to train.
        part: rows of the setting's training digits.

    Raises:
        ModelError: the loss is no longer a number.
    """
    train, labels = setting.dataset.train, setting.dataset.labels
    if setting.quick:
        epochs = min(recipe.epochs, max(QUICK_EPOCHS, QUICK_ROWS // len(part.train)))
        recipe = recipe.with_changes(epochs=epochs)
    nothing = replace(setting.dataset.test, images=setting.dataset.test.images[:0])
    callback = _Saying(setting, what, recipe.epochs)
    member = fit_fold(FoldTask(0, recipe, part, setting.seed), train, nothing, callback=callback)
    found = score(member.val_probabilities, labels[part.val])
    assert found is not None
    return member, found


def random_part(
    labels: NDArray[np.uint8], val_fraction: float, seed: int, *, stratify: bool = False
) -> FoldIndices:
    """scikit-learn's train_test_split, as the published experiments divide their rows."""
    from sklearn.model_selection import train_test_split

    learnt, held = train_test_split(
        np.arange(len(labels)),
        test_size=val_fraction,
        random_state=seed,
        stratify=labels if stratify else None,
    )
    return FoldIndices(np.asarray(learnt, np.int64), np.asarray(held, np.int64))


def loaded(member: FoldResult) -> Classifier:
    """The member's classifier, read from its bytes.

    Raises:
        ModelError: they cannot be read.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / member.model_file).write_bytes(member.model_bytes)
        return load_classifier(Path(folder))
