"""The members of a run on disk: each kept whole when it is trained, put together at the end."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.folder import Dataset
from kaggle_digits.errors import RunError
from kaggle_digits.files import write_json, write_text, write_whole
from kaggle_digits.machine import peak_memory_mb
from kaggle_digits.runs import (
    HISTORY,
    HISTORY_COLUMNS,
    OOF,
    TEST,
    Run,
    read_probabilities,
    write_probabilities,
)
from kaggle_digits.scores import score
from kaggle_digits.training.fit import Member, Task
from kaggle_digits.training.watch import Epoch

VALIDATION, DONE, CHECKPOINT, FIRST_LAYER = (
    "validation.npy",
    "member.json",
    "checkpoint.npz",
    "first_layer.npy",
)


def keep_member(folder: Path, member: Member) -> None:
    """Write a member into its folder; member.json, written last, says that all is there."""
    write_probabilities(folder / VALIDATION, member.validation)
    write_probabilities(folder / TEST, member.test)
    with write_whole(folder / member.model_file) as file:
        file.write_bytes(member.model)
    if member.first_layer is not None:
        with write_whole(folder / FIRST_LAYER) as file:
            np.save(file, member.first_layer)
    record = {
        "kept_epoch": member.kept_epoch,
        "seconds": member.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "history": [_without_nan(row) for row in member.history],
    }
    write_json(folder / DONE, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def assemble(run: Run, dataset: Dataset, tasks: Sequence[Task]) -> None:
    """oof.npy, test.npy, history.csv and, last, metrics.json from the members' files.

    Raises:
        RunError: a member's files are damaged; says which to delete.
    """
    total = np.zeros((len(dataset.train), 10), np.float64)
    times = np.zeros(len(dataset.train), np.int64)
    test = np.zeros((len(dataset.test), 10), np.float64)
    records, accuracies = [], []
    for task in tasks:
        record, validation, predicted = _read_member(run, run.member_folder(task.member))
        total[task.part.val] += validation
        times[task.part.val] += 1
        test += predicted / len(tasks)
        records.append(record)
        measured = score(validation, dataset.labels[task.part.val])
        accuracies.append(measured.accuracy if measured else None)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that says: never validated
        oof = (total / times[:, None]).astype(np.float32)
    run.write_probabilities(OOF, oof)
    run.write_probabilities(TEST, test.astype(np.float32))
    write_text(run.path / HISTORY, _history_csv(records))
    result = score(oof, dataset.labels)
    run.write_metrics(
        {
            "val_accuracy": result.accuracy if result else None,
            "val_accuracy_ci95": result.ci95 if result else None,
            "val_loss": result.log_loss if result else None,
            "n_val": result.n if result else 0,
            "models_per_row": int(times.max()),
            "member_val_accuracies": accuracies,
            "n_train_rows": len(tasks[0].part.train),
            "epochs": [len(record["history"]) for record in records],
            "kept_epochs": [record["kept_epoch"] for record in records],
            "epoch_choice": _epoch_choice(tasks[0]),
            "train_seconds": round(sum(record["seconds"] for record in records), 2),
            "peak_memory_mb": max((r["peak_memory_mb"] or 0 for r in records), default=0) or None,
            "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
    )


def _read_member(
    run: Run, folder: Path
) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.float32]]:
    try:
        record = json.loads((folder / DONE).read_text(encoding="utf-8"))
        validation = read_probabilities(folder / VALIDATION)
        return record, validation, read_probabilities(folder / TEST)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"member {folder.name} of run {run.name} is damaged ({error}); delete {folder} "
            f"and run: kd train --resume --name {run.name}"
        ) from error


def _epoch_choice(task: Task) -> str:
    if not len(task.part.val):
        return "last epoch; every labelled row was trained on, so nothing was measured"
    if task.recipe.patience is None:
        return "last epoch, fixed beforehand: nothing was chosen on the validation rows"
    return (
        f"best validation loss, stopped after {task.recipe.patience} epochs without a better "
        "one: chosen on the same rows that the accuracy is reported on, so it is a little too high"
    )


def _without_nan(row: Epoch) -> dict[str, float | None]:
    values: dict[str, float] = asdict(row)
    return {key: None if math.isnan(value) else value for key, value in values.items()}


def _history_csv(records: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerows(record["history"])  # None is written as an empty cell
    return text.getvalue()
