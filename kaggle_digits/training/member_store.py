"""A member on disk: kept whole when it is trained, read again when all are put together."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core import signing
from kaggle_digits.core.atomic_io import atomic_write, write_json, write_text
from kaggle_digits.core.errors import RunError
from kaggle_digits.models.io import JOBLIB_FILE, SIGNATURE_FILE
from kaggle_digits.models.litert import LITERT_FILE
from kaggle_digits.runs.run import (
    TEST_FILE,
    Probabilities,
    Run,
    read_probabilities,
    write_probabilities,
)
from kaggle_digits.training.callbacks import EpochMetrics
from kaggle_digits.training.fold import FoldResult

VALIDATION_FILE, RECORD_FILE, CHECKPOINT, FIRST_LAYER = (
    "validation.npy",
    "member.json",
    "checkpoint.npz",
    "first_layer.npy",
)


def save_result(folder: Path, result: FoldResult) -> None:
    """Write a member into its folder; member.json, written last, says that all is there."""
    write_probabilities(folder / VALIDATION_FILE, result.val_probabilities)
    write_probabilities(folder / TEST_FILE, result.test_probabilities)
    with atomic_write(folder / result.model_file) as file:
        file.write_bytes(result.model_bytes)
    if result.model_file == JOBLIB_FILE:  # by this it is known to be made here
        write_text(folder / SIGNATURE_FILE, signing.sign(result.model_bytes))
    if result.litert_bytes is not None:
        with atomic_write(folder / LITERT_FILE) as file:
            file.write_bytes(result.litert_bytes)
    if result.first_layer is not None:
        with atomic_write(folder / FIRST_LAYER) as file:
            np.save(file, result.first_layer)
    record = {
        "kept_epoch": result.kept_epoch,
        "seconds": result.seconds,
        "ended": time.time(),
        "peak_memory_mb": result.peak_memory_mb,
        "history": [_without_nan(row) for row in result.history],
    }
    write_json(folder / RECORD_FILE, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def is_complete(folder: Path) -> bool:
    """Whether a member is trained and whole in its folder."""
    return (folder / RECORD_FILE).is_file()


def load_result(run: Run, folder: Path) -> tuple[dict[str, Any], Probabilities, Probabilities]:
    """What member.json says, probabilities of the held-out rows, of test.csv.

    Raises:
        RunError: a file is missing or damaged; says what to do.
    """
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        validation = read_probabilities(folder / VALIDATION_FILE)
        return record, validation, read_probabilities(folder / TEST_FILE)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"member {folder.name} of run {run.name} is damaged ({error}); delete {folder} "
            f"and run: kd train --resume --name {run.name}"
        ) from error


def _without_nan(row: EpochMetrics) -> dict[str, float | None]:
    values: dict[str, float] = asdict(row)
    return {key: None if math.isnan(value) else value for key, value in values.items()}
