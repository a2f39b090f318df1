"""Pseudo-labels: confident predictions of test images by a finished run join the training rows.

Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method". Validation rows
do not leak: if both runs have the same folds, the pseudo-labels of a fold come only from models
that were not trained on its validation rows. With other folds, or from a run that has a leak
itself, the labels of validation rows leak (``Run.leak``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.data.splits import FoldIndices, fingerprint
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.runs.files import explain_damage, read_array
from kaggle_digits.runs.run import Run
from kaggle_digits.training.members import load_result

FILE = "pseudo.npy"  # in a run folder, so that resuming does not need the teacher
UNLABELLED = -1
# Of the calibrated probability: at most one label in a hundred is wrong, in practice far fewer.
MIN_CONFIDENCE = 0.99

TestLabels = NDArray[np.int8]  # (folds, n_test), -1 for none


class PseudoLabels(NamedTuple):
    """Labels of test images: (folds, n_test) int8, -1 if the teacher is not confident.

    ``held_out_apart``: no label of a fold's validation rows influenced its pseudo-labels, neither
    directly nor through pseudo-labels that the teacher was trained on.
    """

    labels: TestLabels
    held_out_apart: bool


def make(teacher: Run, dataset: Dataset, folds: Sequence[FoldIndices]) -> PseudoLabels:
    """Return the confident predictions of ``teacher``, for each of the folds to be trained.

    RunError is raised if the run is unfinished, damaged, or was trained on other data.
    """
    teacher.metrics()
    teacher.check_data(dataset)
    temperature = fit_temperature(teacher.oof(dataset.labels), dataset.labels)
    same_folds = teacher.config().get("split_fingerprint") == fingerprint(folds)
    if same_folds:
        folders, n_folds = teacher.member_folders(), len(folds)
        predictions = []
        for fold in range(n_folds):
            members = [load_result(teacher, folder)[2] for folder in folders[fold::n_folds]]
            predictions.append(np.asarray(np.mean(members, axis=0, dtype=np.float64), np.float32))
    else:
        predictions = [teacher.test()] * len(folds)
    calibrated = np.stack([apply_temperature(p, temperature) for p in predictions])
    confident = calibrated.max(axis=2) >= MIN_CONFIDENCE
    labels = np.where(confident, calibrated.argmax(axis=2), UNLABELLED).astype(np.int8)
    is_clean = same_folds and teacher.leak() is None
    return PseudoLabels(labels, is_clean)


def load(folder: Path, n_folds: int, n_test: int) -> TestLabels:
    """Load (n_folds, n_test) int8 labels; raise RunError if the file is missing or damaged."""
    path = folder / FILE
    with explain_damage(path, f"it cannot be restored: delete {folder} and train again"):
        labels: TestLabels = read_array(path, np.int8, (n_folds, n_test))
        if labels.size and not UNLABELLED <= labels.min() <= labels.max() < CLASSES:
            raise ValueError(f"it holds other numbers than {UNLABELLED} to {CLASSES - 1}")
        return labels
