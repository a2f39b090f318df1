"""The folder of a member, runs/<name>/members/<k>: save a fitted model and load it again."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.atomic_io import atomic_write, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.models.litert import LITERT_FILE
from kaggle_digits.runs.run import (
    FIRST_LAYER_FILE,
    TEST_FILE,
    Probabilities,
    Run,
    read_probabilities,
    write_probabilities,
)
from kaggle_digits.training.fold import FoldResult

VALIDATION_FILE = "validation.npy"
RECORD_FILE = "member.json"
CHECKPOINT_FILE = "checkpoint.npz"


@dataclass(frozen=True)
class FileCheckpoint:
    """The checkpoint in a member's folder, replaced atomically."""

    folder: Path

    def load(self) -> bytes | None:
        path = self.folder / CHECKPOINT_FILE
        return path.read_bytes() if path.is_file() else None

    def save(self, content: bytes) -> None:
        with atomic_write(self.folder / CHECKPOINT_FILE, durable=False) as file:
            file.write_bytes(content)


def save_result(folder: Path, result: FoldResult) -> None:
    """Write a result into its folder; member.json, written last, marks it as complete."""
    write_probabilities(folder / VALIDATION_FILE, result.val_probabilities)
    write_probabilities(folder / TEST_FILE, result.test_probabilities)
    with atomic_write(folder / result.model_file) as file:
        file.write_bytes(result.model_bytes)
    if result.litert_bytes is not None:
        with atomic_write(folder / LITERT_FILE) as file:
            file.write_bytes(result.litert_bytes)
    if result.first_layer is not None:
        with atomic_write(folder / FIRST_LAYER_FILE) as file:
            np.save(file, result.first_layer)
    rows = [asdict(row) for row in result.history]
    record = {
        "kept_epoch": result.kept_epoch,
        "seconds": result.seconds,
        "ended": time.time(),
        "peak_memory_mb": result.peak_memory_mb,
        "history": [{k: None if math.isnan(v) else v for k, v in row.items()} for row in rows],
    }
    write_json(folder / RECORD_FILE, record)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def is_complete(folder: Path) -> bool:
    """Whether the folder holds a complete result."""
    return (folder / RECORD_FILE).is_file()


def load_result(run: Run, folder: Path) -> tuple[dict[str, Any], Probabilities, Probabilities]:
    """Return member.json and the probabilities of the validation rows and of test.csv.

    RunError is raised if a file is missing or damaged.
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
