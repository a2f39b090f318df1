"""All members of a run, one after another, into a run folder and a submission."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import __version__
from kaggle_digits.data.folder import Dataset
from kaggle_digits.data.split import Part, Split, fingerprint, split
from kaggle_digits.errors import RunError
from kaggle_digits.files import write_json, write_text, write_whole
from kaggle_digits.machine import git_commit, machine, peak_memory_mb, versions
from kaggle_digits.runs import (
    HISTORY,
    HISTORY_COLUMNS,
    OOF,
    Run,
    create,
    list_runs,
    open_run,
    read_probabilities,
    write_probabilities,
)
from kaggle_digits.runs import TEST as TEST_PROBABILITIES
from kaggle_digits.scores import score
from kaggle_digits.training.fit import Member, Task, fit_member, member_seed
from kaggle_digits.training.recipe import Recipe, from_json
from kaggle_digits.training.watch import Epoch, Watcher

VALIDATION, DONE, CHECKPOINT, FIRST_LAYER = (
    "validation.npy",
    "member.json",
    "checkpoint.npz",
    "first_layer.npy",
)


def train(
    dataset: Dataset,
    recipe: Recipe,
    how: Split,
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    force: bool = False,
    taken: Callable[[str], bool] = lambda name: False,
    watcher: Watcher | None = None,
) -> Run:
    """Train every member of ``how`` by ``recipe`` and leave a finished run folder.

    Args:
        dataset: from kaggle_digits.data.folder.load.
        recipe: how to train each member.
        how: which rows are held out; one member a part.
        runs_dir: where the run folder is made.
        name: of the run; None takes the model's name and the next free number.
        force: whether a run of that name is put aside rather than refused.
        taken: further names that a run without ``name`` is not given.
        watcher: told what happens.

    Raises:
        DigitsError: the name is taken, the data do not fit the split, the model fails, the disk
            refuses. Members that were finished are kept: go on with resume().
    """
    parts = split(dataset.labels, how)
    run = create(Path(runs_dir), name, recipe.model, force=force, taken=taken)
    with run.writing():
        run.write_config(_config(run, dataset, recipe, how, parts))
        _train_members(run, dataset, recipe, how.seed, parts, watcher or Watcher())
    return run


def resume(
    dataset: Dataset,
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Go on with a run that was interrupted; ends at the figures of one that was not.

    Args:
        dataset: the same data as before.
        runs_dir: where runs stand.
        name: of the run; None takes the unfinished one that was touched last.
        watcher: told what happens.

    Raises:
        RunError: there is no such run, or it was trained on other data.
    """
    run = open_run(Path(runs_dir), name) if name else _last_unfinished(Path(runs_dir))
    config = run.config()
    run.check_data(dataset)
    try:
        how, recipe = Split(**config["split"]), from_json(config["recipe"])
    except (KeyError, TypeError, RunError) as error:
        raise RunError(f"run {run.name} cannot be resumed: {error}") from error
    with run.writing():
        if not run.finished:
            parts = split(dataset.labels, how)
            _train_members(run, dataset, recipe, how.seed, parts, watcher or Watcher())
    return run


def _last_unfinished(runs_dir: Path) -> Run:
    unfinished = [run for run in list_runs(runs_dir) if not run.finished]
    if not unfinished:
        raise RunError(f"no unfinished run in {runs_dir}; start one: kd train --model dense")
    return max(unfinished, key=lambda run: run.path.stat().st_mtime)


def _config(
    run: Run, dataset: Dataset, recipe: Recipe, how: Split, parts: Sequence[Part]
) -> dict[str, Any]:
    return {
        "name": run.name,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "kd_version": __version__,
        "model": recipe.model,
        "recipe": recipe.to_json(),
        "split": {**asdict(how)},
        "split_fingerprint": fingerprint(parts),
        "seed": how.seed,
        "members": len(parts),
        "data": {
            "source": dataset.source.source,
            "train_sha256": dataset.train.sha256,
            "test_sha256": dataset.test.sha256,
            "n_train": len(dataset.train),
            "n_test": len(dataset.test),
        },
        "versions": versions(),
        "machine": machine(),
        "git_commit": git_commit(),
    }


def _train_members(
    run: Run, dataset: Dataset, recipe: Recipe, seed: int, parts: Sequence[Part], watcher: Watcher
) -> None:
    done = [(run.member_folder(k) / DONE).is_file() for k in range(len(parts))]
    watcher.run_started(run.name, len(parts), sum(done))
    for number, part in enumerate(parts):
        if done[number]:
            continue
        folder = run.member_folder(number)
        task = Task(number, recipe, part, member_seed(seed, number))
        member = fit_member(
            task,
            dataset.train,
            dataset.test,
            checkpoint=folder / CHECKPOINT,
            watcher=watcher,
        )
        keep_member(folder, member)
        watcher.member_finished(number, member.seconds)
    _assemble(run, dataset, recipe, parts)


def keep_member(folder: Path, member: Member) -> None:
    """Write a member into its folder; member.json, written last, says that all is there."""
    write_probabilities(folder / VALIDATION, member.validation)
    write_probabilities(folder / TEST_PROBABILITIES, member.test)
    with write_whole(folder / member.model_file) as file:
        file.write_bytes(member.model)
    if member.first_layer is not None:
        with write_whole(folder / FIRST_LAYER) as file:
            np.save(file, member.first_layer)
    record = {
        "kept_epoch": member.kept_epoch,
        "seconds": member.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "history": [asdict(row) for row in member.history],
    }
    write_json(folder / DONE, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _assemble(run: Run, dataset: Dataset, recipe: Recipe, parts: Sequence[Part]) -> None:
    """oof.npy, test.npy, history.csv and, last, metrics.json from the members' files."""
    total = np.zeros((len(dataset.train), 10), np.float64)
    times = np.zeros(len(dataset.train), np.int64)
    test = np.zeros((len(dataset.test), 10), np.float64)
    records, accuracies = [], []
    for number, part in enumerate(parts):
        folder = run.member_folder(number)
        validation, predicted = _member_predictions(run, folder)
        total[part.val] += validation
        times[part.val] += 1
        test += predicted / len(parts)
        records.append(json.loads((folder / DONE).read_text(encoding="utf-8")))
        measured = score(validation, dataset.labels[part.val])
        accuracies.append(measured.accuracy if measured else None)
    with np.errstate(invalid="ignore"):
        oof = (total / times[:, None]).astype(np.float32)
    run.write_probabilities(OOF, oof)
    run.write_probabilities(TEST_PROBABILITIES, test.astype(np.float32))
    rows = [Epoch(**row) for record in records for row in record["history"]]
    write_text(run.path / HISTORY, _history_csv(rows))
    result = score(oof, dataset.labels)
    run.write_metrics(
        {
            "val_accuracy": result.accuracy if result else None,
            "val_accuracy_ci95": result.ci95 if result else None,
            "val_loss": result.log_loss if result else None,
            "n_val": result.n if result else 0,
            "models_per_row": int(times.max()),
            "member_val_accuracies": accuracies,
            "n_train_rows": len(parts[0].train),
            "epochs": [len(record["history"]) for record in records],
            "kept_epochs": [record["kept_epoch"] + 1 for record in records],
            "epoch_choice": _epoch_choice(recipe, parts),
            "train_seconds": round(sum(record["seconds"] for record in records), 2),
            "peak_memory_mb": max((r["peak_memory_mb"] or 0 for r in records), default=0) or None,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
    )


def _member_predictions(run: Run, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        validation = read_probabilities(folder / VALIDATION)
        return validation, read_probabilities(folder / TEST_PROBABILITIES)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"member {folder.name} of run {run.name} is damaged ({error}); delete {folder} "
            f"and run: kd train --resume --name {run.name}"
        ) from error


def _epoch_choice(recipe: Recipe, parts: Sequence[Part]) -> str:
    if not len(parts[0].val):
        return "last epoch; every labelled row was trained on, so nothing was measured"
    if recipe.patience is None:
        return "last epoch, fixed beforehand: nothing was chosen on the validation rows"
    return (
        f"best validation loss, stopped after {recipe.patience} epochs without a better one: "
        "chosen on the same rows that the accuracy is reported on, so it is a little too high"
    )


def _history_csv(rows: Sequence[Epoch]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HISTORY_COLUMNS)
    for row in rows:
        values = asdict(row)
        writer.writerow(
            "" if isinstance(values[c], float) and np.isnan(values[c]) else values[c]
            for c in HISTORY_COLUMNS
        )
    return text.getvalue()
