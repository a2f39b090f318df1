"""The members of a run put together: answers, history, figures."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import wrap_os_errors, write_text
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.ensembling.ensemble import combine
from kaggle_digits.metrics.calibration import fit_temperature
from kaggle_digits.metrics.scores import predicted_rows, score
from kaggle_digits.runs.run import (
    HISTORY_COLUMNS,
    HISTORY_FILE,
    METRICS_FILE,
    OOF_FILE,
    TEST_FILE,
    Probabilities,
    Run,
    write_probabilities,
)
from kaggle_digits.training.executor import Failed
from kaggle_digits.training.fold import FoldTask
from kaggle_digits.training.member_store import load_result


def aggregate(
    run: Run,
    dataset: Dataset,
    tasks: Sequence[FoldTask],
    designs: int,
    failures: Sequence[Failed] = (),
) -> None:
    """oof.npy, test.npy, history.csv and, last, metrics.json from the members' files.

    The members of one design are averaged; several designs are then put together as
    kaggle_digits.ensembling.ensemble does.

    Args:
        run: whose members are all kept but those that failed.
        dataset: what they were trained on.
        tasks: one a member, in order; the first len(tasks) / designs are of the first design.
        designs: how many.
        failures: of the members to be left out.

    Raises:
        RunError: a member's files are damaged; says which to delete.
    """
    parts = len(tasks) // designs
    failed = {failure.task.member for failure in failures}
    tasks = [task for task in tasks if task.member not in failed]
    groups = [list(group) for _, group in groupby(tasks, lambda task: task.member // parts)]
    answers = [_mean(run, dataset, group) for group in groups]
    records = [record for answer in answers for record in answer.records]
    if len(answers) == 1:
        oof, test = answers[0].oof, answers[0].test
        together: dict[str, Any] = {}
    else:
        oof, test, together = _together(answers, dataset, [group[0] for group in groups])
    # Of a run that is finished once more: killed from here on, it is not yet.
    with wrap_os_errors(run.path):
        (run.path / METRICS_FILE).unlink(missing_ok=True)
    write_probabilities(run.path / OOF_FILE, oof)
    write_probabilities(run.path / TEST_FILE, test)
    write_text(run.path / HISTORY_FILE, _history_csv(records))
    result = score(oof, dataset.labels)
    run.write_metrics(
        {
            "val_accuracy": result.accuracy if result else None,
            "val_accuracy_ci95": result.ci95 if result else None,
            "val_loss": result.log_loss if result else None,
            "n_val": result.n if result else 0,
            "temperature": fit_temperature(oof, dataset.labels),
            "models_per_row": sum(answer.models_per_row for answer in answers),
            "member_val_accuracies": [one for answer in answers for one in answer.accuracies],
            **together,
            "n_train_rows": len(tasks[0].fold.train),
            "epochs": [len(record["history"]) for record in records],
            "kept_epochs": [record["kept_epoch"] for record in records],
            "epoch_choice": _epoch_choice(tasks[0]),
            "train_seconds": round(train_seconds(records), 2),
            "peak_memory_mb": max((r["peak_memory_mb"] or 0 for r in records), default=0) or None,
            **({"failed": [_failure(failure) for failure in failures]} if failures else {}),
            "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
    )


def train_seconds(records: Sequence[dict[str, Any]]) -> float:
    """Seconds in which at least one member was trained; members trained at a time count once.

    Args:
        records: what member.json says of each. Where one was kept by an older version, which wrote
            no ``ended``, the members' seconds are added up.
    """
    if not all("ended" in record for record in records):
        return float(sum(record["seconds"] for record in records))
    total, until = 0.0, -math.inf
    for begun, ended in sorted((r["ended"] - r["seconds"], r["ended"]) for r in records):
        total += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return total


def _failure(failure: Failed) -> dict[str, Any]:
    return {
        "member": failure.task.member,
        "reason": str(failure.error),
        "tries": failure.attempts,
        "rows_held_out": len(failure.task.fold.val),
    }


class _Answers(NamedTuple):
    """What the members of one design say of every row, averaged, and what is known of each."""

    oof: Probabilities
    test: Probabilities
    models_per_row: int
    records: list[dict[str, Any]]
    accuracies: list[float | None]


def _mean(run: Run, dataset: Dataset, tasks: Sequence[FoldTask]) -> _Answers:
    """Members are read one by one: a thousand of them would not fit into memory."""
    total = np.zeros((len(dataset.train), 10), np.float64)
    times = np.zeros(len(dataset.train), np.int64)
    test = np.zeros((len(dataset.test), 10), np.float64)
    records, accuracies = [], []
    for task in tasks:
        record, validation, predicted = load_result(run, run.member_folder(task.member))
        total[task.fold.val] += validation
        times[task.fold.val] += 1
        test += predicted / len(tasks)
        records.append(record)
        accuracies.append(_accuracy(validation, dataset.labels[task.fold.val]))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that says: never validated
        oof = (total / times[:, None]).astype(np.float32)
    return _Answers(oof, test.astype(np.float32), int(times.max()), records, accuracies)


def _together(
    answers: Sequence[_Answers], dataset: Dataset, firsts: Sequence[FoldTask]
) -> tuple[Probabilities, Probabilities, dict[str, Any]]:
    """The designs as one, and what metrics.json says of each."""
    oofs = [answer.oof for answer in answers]
    # Where a member failed, its design says nothing of some rows: all are judged on the same.
    unknown = np.any(np.isnan(np.stack(oofs)), axis=(0, 2))
    for oof in oofs:
        oof[unknown] = np.nan
    method = "weighted" if len(predicted_rows(oofs[0])) else "mean"
    one = combine(oofs, [answer.test for answer in answers], dataset.labels, method)
    assert one.temperatures is not None
    weights = one.weights or [1 / len(answers)] * len(answers)
    designs: list[dict[str, Any]] = [
        {
            "model": task.recipe.model,
            "val_accuracy": _accuracy(oof, dataset.labels),
            "temperature": heat,
            "weight": weight,
        }
        for task, oof, heat, weight in zip(firsts, oofs, one.temperatures, weights, strict=True)
    ]
    for design, gain in zip(designs, one.contributions or [], strict=bool(one.contributions)):
        design["adds"] = asdict(gain)
    return one.oof, one.test, {"designs": designs, "weights_help": one.weights_help}


def _accuracy(probabilities: Probabilities, labels: NDArray[np.uint8]) -> float | None:
    measured = score(probabilities, labels)
    return measured.accuracy if measured else None


def _epoch_choice(task: FoldTask) -> str:
    if not len(task.fold.val):
        return "last epoch; every labelled row was trained on, so nothing was measured"
    if task.recipe.patience is None:
        return "last epoch, fixed beforehand: nothing was chosen on the validation rows"
    return (
        f"best validation loss, stopped after {task.recipe.patience} epochs without a better "
        "one: chosen on the same rows that the accuracy is reported on, so it is a little too high"
    )


def _history_csv(records: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerows(record["history"])  # None is written as an empty cell
    return text.getvalue()
