"""All members of a run, one after another, into a run folder and a submission."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from kaggle_digits import __version__
from kaggle_digits.data.folder import Dataset
from kaggle_digits.data.split import Split, fingerprint, split
from kaggle_digits.errors import DigitsError, RunError
from kaggle_digits.machine import git_commit, machine, versions
from kaggle_digits.run_store import create, list_runs, open_run
from kaggle_digits.runs import Run
from kaggle_digits.training.fit import Task, fit_member, member_seed
from kaggle_digits.training.members import CHECKPOINT, DONE, assemble, keep_member
from kaggle_digits.training.recipe import Recipe, from_json
from kaggle_digits.training.watch import Watcher


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
    tasks = _tasks(dataset, recipe, how)
    with create(Path(runs_dir), name, recipe.model, force=force, taken=taken) as run:
        run.write_config(_config(run, dataset, recipe, how, tasks))
        try:
            _train_members(run, dataset, tasks, watcher or Watcher())
        except DigitsError:
            if not any(run.path.glob("members/*/*")):  # nothing worth keeping was made
                shutil.rmtree(run.path, ignore_errors=True)
            raise
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
            _train_members(run, dataset, _tasks(dataset, recipe, how), watcher or Watcher())
    return run


def _last_unfinished(runs_dir: Path) -> Run:
    unfinished = [run for run in list_runs(runs_dir) if not run.finished]
    if not unfinished:
        raise RunError(f"no unfinished run in {runs_dir}; start one: kd train --model dense")
    return max(unfinished, key=lambda run: run.path.stat().st_mtime)


def _tasks(dataset: Dataset, recipe: Recipe, how: Split) -> list[Task]:
    return [
        Task(member, recipe, part, member_seed(how.seed, member))
        for member, part in enumerate(split(dataset.labels, how))
    ]


def _config(
    run: Run, dataset: Dataset, recipe: Recipe, how: Split, tasks: Sequence[Task]
) -> dict[str, Any]:
    return {
        "name": run.name,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "kd_version": __version__,
        "model": recipe.model,
        "recipe": recipe.to_json(),
        "split": asdict(how),
        "split_fingerprint": fingerprint([task.part for task in tasks]),
        "seed": how.seed,
        "members": len(tasks),
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


def _train_members(run: Run, dataset: Dataset, tasks: Sequence[Task], watcher: Watcher) -> None:
    done = [(run.member_folder(task.member) / DONE).is_file() for task in tasks]
    watcher.run_started(run.name, len(tasks), sum(done))
    for task, is_done in zip(tasks, done, strict=True):
        if is_done:
            continue
        folder = run.member_folder(task.member)
        member = fit_member(
            task, dataset.train, dataset.test, checkpoint=folder / CHECKPOINT, watcher=watcher
        )
        keep_member(folder, member)
        watcher.member_finished(task.member, member.seconds)
    assemble(run, dataset, tasks)
