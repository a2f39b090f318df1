"""The members of a run: save and load each in runs/<name>/members/<k>, and aggregate them."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kaggle_digits.core.atomic_io import write_bytes, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.core.text import plural
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.data.splits import FoldIndices, fingerprint
from kaggle_digits.data.submission_csv import labels_sha256
from kaggle_digits.ensembling.ensemble import are_enough, combine, score_metrics
from kaggle_digits.metrics.scores import predicted_rows, score
from kaggle_digits.models.formats import LITERT_FILE
from kaggle_digits.runs import files
from kaggle_digits.runs.run import FIRST_LAYER_FILE, TEST_FILE, Run, hide_leaked_metrics
from kaggle_digits.training.executor import Failed
from kaggle_digits.training.fold import Checkpoint, FoldResult, FoldTask

VALIDATION_FILE = "validation.npy"
RECORD_FILE = "member.json"
CHECKPOINT_FILE = "checkpoint.npz"


def save_result(folder: Path, result: FoldResult) -> None:
    """Write a result into its folder; member.json, written last, marks it as complete."""
    files.write_probabilities(folder / VALIDATION_FILE, result.val_probabilities)
    files.write_probabilities(folder / TEST_FILE, result.test_probabilities)
    write_bytes(folder / result.model_file, result.model_bytes)
    if result.litert_bytes is not None:
        write_bytes(folder / LITERT_FILE, result.litert_bytes)
    if result.first_layer is not None:
        files.write_array(folder / FIRST_LAYER_FILE, result.first_layer)
    record = {
        "kept_epoch": result.kept_epoch,
        "skipped_epochs": result.skipped_epochs,
        "seconds": result.seconds,
        "ended": time.time(),
        "peak_memory_mb": result.peak_memory_mb,
        "val_fingerprint": fingerprint([result.task.fold]),
        "history": [asdict(row) for row in result.history],
    }
    write_json(folder / RECORD_FILE, record)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def checkpoint(run: Run, member: int) -> Checkpoint:
    """Return the checkpoint of a member, from 0, until its result is saved."""
    return Checkpoint(run.member_folder(member) / CHECKPOINT_FILE)


def is_complete(folder: Path) -> bool:
    """Whether the folder holds a complete result."""
    return (folder / RECORD_FILE).is_file()


def load_result(
    run: Run, folder: Path, fold: FoldIndices | None = None
) -> tuple[dict[str, Any], Probabilities, Probabilities]:
    """Return member.json and the probabilities of the validation rows and of test.csv.

    RunError is raised if a file is missing or damaged, or if the member was trained on another
    ``fold`` than the one it is expected to have.
    """
    from kaggle_digits.runs.schema import Member

    remedy = f"delete {folder} and run: `kd.resume(dataset, name={run.name!r})`"
    member = f"member {folder.name} of run {run.name}"
    with files.explain_damage(folder / RECORD_FILE, remedy, f"{RECORD_FILE} of {member}"):
        record = Member.read(folder / RECORD_FILE)
    if fold and record["val_fingerprint"] not in (None, fingerprint([fold])):
        raise RunError(f"{member} held out other rows; {remedy}")
    arrays = []
    n_val, n_test = len(fold.val) if fold else None, run.config()["data"].get("n_test")
    for name, rows in ((VALIDATION_FILE, n_val), (TEST_FILE, n_test)):
        with files.explain_damage(folder / name, remedy, f"{name} of {member}"):
            arrays.append(files.read_probabilities(folder / name, rows))
    return record, arrays[0], arrays[1]


def aggregate(
    run: Run,
    dataset: Dataset,
    tasks: Sequence[FoldTask],
    n_recipes: int,
    failures: Sequence[Failed] = (),
) -> None:
    """Write oof.npy, test.npy, history.csv and, last, metrics.json from the members' files.

    The members of one recipe are averaged; several recipes are combined as in
    kaggle_digits.ensembling.ensemble. ``tasks`` has one task per member, in order, and as many for
    each recipe. All members are complete but the failed ones, which are left out. RunError is
    raised if a member's files are damaged.
    """
    n_folds = len(tasks) // n_recipes
    failed = {failure.task.member for failure in failures}
    tasks = [task for task in tasks if task.member not in failed]
    groups = [list(group) for _, group in groupby(tasks, lambda task: task.member // n_folds)]
    means = [_average(run, dataset, group) for group in groups]
    records = [record for mean in means for record in mean.records]
    oof, test, ensemble_metrics = means[0].oof, means[0].test, dict[str, Any]()
    if len(means) > 1:
        oof, test, ensemble_metrics = _combine(means, dataset, [group[0] for group in groups])
    run.write_predictions(oof, test, [row for record in records for row in record["history"]])
    metrics = {
        **score_metrics(oof, dataset.labels),
        "models_per_row": sum(mean.models_per_row for mean in means),
        "member_val_accuracies": [accuracy for mean in means for accuracy in mean.accuracies],
        **ensemble_metrics,
        "n_train_rows": len(tasks[0].fold.train),
        "epochs": [len(record["history"]) for record in records],
        "kept_epochs": [record["kept_epoch"] for record in records],
        "epoch_choice": _epoch_choice(tasks[0]),
        "train_seconds": round(train_seconds(records), 2),
        "peak_memory_mb": max((r["peak_memory_mb"] or 0 for r in records), default=0) or None,
        "submission_sha256": labels_sha256(test.argmax(axis=1).astype(np.uint8)),
    }
    if failures:
        metrics["failed"] = [
            {
                "member": failure.task.member,
                "reason": str(failure.error),
                "tries": failure.attempts,
                "rows_held_out": len(failure.task.fold.val),
            }
            for failure in failures
        ]
    if limit := run.config().get("time_limit"):
        skipped = [record.get("skipped_epochs", 0) for record in records]
        metrics["time_limit"] = limit | {"skipped_epochs": skipped}
    metrics["finished"] = datetime.now().astimezone().isoformat(timespec="seconds")
    run.write_metrics(hide_leaked_metrics(metrics, run.leak()))


def train_seconds(records: Sequence[dict[str, Any]]) -> float:
    """Return the seconds in which at least one member was trained.

    ``records`` are the members' member.json. If one is of an older version, without ``ended``, the
    members' seconds are added up.
    """
    if any(record.get("ended") is None for record in records):
        return float(sum(record["seconds"] for record in records))
    total, last_end = 0.0, -math.inf
    for start, end in sorted((r["ended"] - r["seconds"], r["ended"]) for r in records):
        total += max(0.0, end - max(start, last_end))
        last_end = max(last_end, end)
    return total


class _Mean(NamedTuple):
    """The averaged probabilities of one recipe's members, and the record and accuracy of each."""

    oof: Probabilities
    test: Probabilities
    models_per_row: int
    records: list[dict[str, Any]]
    accuracies: list[float | None]


def _average(run: Run, dataset: Dataset, tasks: Sequence[FoldTask]) -> _Mean:
    """Average the members of ``tasks``, reading one at a time: a run may have a thousand."""
    total = np.zeros((len(dataset.train), 10), np.float64)
    counts = np.zeros(len(dataset.train), np.int64)
    test = np.zeros((len(dataset.test), 10), np.float64)
    records, accuracies = [], []
    for task in tasks:
        rows = task.fold.val
        record, val_proba, test_proba = load_result(run, run.member_folder(task.member), task.fold)
        total[rows] += val_proba
        counts[rows] += 1
        test += test_proba / len(tasks)
        records.append(record)
        result = score(val_proba, dataset.labels[rows])
        accuracies.append(result.accuracy if result else None)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: the row was never validated
        oof = (total / counts[:, None]).astype(np.float32)
    return _Mean(oof, test.astype(np.float32), int(counts.max()), records, accuracies)


def _combine(
    means: Sequence[_Mean], dataset: Dataset, first_tasks: Sequence[FoldTask]
) -> tuple[Probabilities, Probabilities, dict[str, Any]]:
    """Combine the recipes: oof, test, and the entries of metrics.json."""
    oofs = [mean.oof for mean in means]
    # If a member failed, its recipe has no prediction of some rows; all are scored without them.
    missing = np.any(np.isnan(np.stack(oofs)), axis=(0, 2))
    for oof in oofs:
        oof[missing] = np.nan
    enough = are_enough(dataset.labels[predicted_rows(oofs[0])])
    method = "weighted" if enough else "mean"
    ensemble = combine(oofs, [mean.test for mean in means], dataset.labels, method)
    designs = ensemble.designs([task.recipe.model for task in first_tasks])
    metrics = {"designs": designs, "weights_help": ensemble.weights_help}
    return ensemble.oof, ensemble.test, metrics


def _epoch_choice(task: FoldTask) -> str:
    if not len(task.fold.val):
        return "last epoch; every labelled row was trained on, so nothing was measured"
    if task.recipe.patience is None:
        return "last epoch, fixed beforehand: nothing was chosen on the validation rows"
    patience = plural(task.recipe.patience, "epoch")
    return (
        f"best validation loss (early stopping after {patience} without a better one), chosen on "
        "the same rows that the accuracy is reported on, so it is a little too high"
    )
