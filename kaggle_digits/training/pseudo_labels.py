"""Pseudo-labels: test images that a finished run is sure of join the training rows.

Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method". Validation rows
stay out of it: a part learns from the answers of those members only that never saw the labels of
its validation rows, where the two runs held out the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices, fingerprint
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.runs.run import TEST_FILE, Run, read_probabilities

FILE = "pseudo.npy"
NOT_SURE = -1
# Of calibrated probabilities: at most one such label in a hundred is wrong, and far fewer are.
CONFIDENT = 0.99

Labels = NDArray[np.int8]


class PseudoLabels(NamedTuple):
    """What a run says of the test images.

    Attributes:
        labels: (parts, n_test) int8, 0 to 9, or -1 where the run is not sure.
        held_out_apart: whether no label of a part's validation rows had a share in them.
    """

    labels: Labels
    held_out_apart: bool


def pseudo_labels(teacher: Run, dataset: Dataset, parts: Sequence[FoldIndices]) -> PseudoLabels:
    """What ``teacher`` is sure of, for each part of a split.

    Args:
        teacher: a finished run on the same data.
        dataset: the data.
        parts: of the split that is to be trained.

    Raises:
        RunError: the run is unfinished, damaged, or was trained on other data.
    """
    teacher.metrics()
    teacher.check_data(dataset)
    heat = fit_temperature(teacher.oof(), dataset.labels)
    apart = teacher.config().get("split_fingerprint") == fingerprint(parts)
    if not apart:
        answers = [teacher.test()] * len(parts)
    else:
        folders = teacher.member_folders()
        answers = [_mean_test(folders[place :: len(parts)]) for place in range(len(parts))]
    return PseudoLabels(np.stack([_sure(apply_temperature(a, heat)) for a in answers]), apart)


def keep(folder: Path, labels: Labels) -> None:
    """Write them into a run folder, so that going on needs the teacher no more."""
    with atomic_write(folder / FILE) as file:
        np.save(file, labels)


def read(folder: Path, parts: int, rows: int) -> Labels:
    """The labels kept in a run folder: (parts, rows) int8.

    Raises:
        RunError: they are missing or damaged.
    """
    path = folder / FILE
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"{path} cannot be read ({error}); train the run again") from error
    if labels.dtype != np.int8 or labels.shape != (parts, rows):
        raise RunError(
            f"{path} holds {labels.dtype} {labels.shape} where int8 {(parts, rows)} is "
            "expected; train the run again"
        )
    return np.asarray(labels, np.int8)


def _mean_test(folders: Sequence[Path]) -> NDArray[np.float32]:
    """Of the members in ``folders``: all that learnt the same part."""
    try:
        answers = [read_probabilities(folder / TEST_FILE) for folder in folders]
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"{folders[0].parent} is damaged ({error}); train the run again, or take another"
        ) from error
    return np.asarray(np.mean(answers, axis=0, dtype=np.float64), np.float32)


def _sure(probabilities: NDArray[np.float32]) -> Labels:
    sure = probabilities.max(axis=1) >= CONFIDENT
    return np.where(sure, probabilities.argmax(axis=1), NOT_SURE).astype(np.int8)
