"""All members of a run, one after another, into a run folder and a submission."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.core import signing
from kaggle_digits.core.environment import git_commit, hardware, versions
from kaggle_digits.core.errors import DigitsError, RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices, Split, fingerprint, split
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import create_run, list_runs, open_run
from kaggle_digits.training.aggregate import aggregate
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.checkpoint import FileCheckpoint
from kaggle_digits.training.executor import Executor, Failed, Fitted, InProcess
from kaggle_digits.training.fold import FoldTask, member_seed
from kaggle_digits.training.member_store import CHECKPOINT, is_complete, save_result
from kaggle_digits.training.pseudo_labels import Labels, keep, pseudo_labels, read
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe, may_run, names_code, read_recipe


def train(
    dataset: Dataset,
    recipe: Recipe | EnsembleRecipe,
    how: Split,
    *,
    pseudo: Run | None = None,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    force: bool = False,
    taken: Callable[[str], bool] = lambda name: False,
    executor: Executor | None = None,
    callback: TrainingCallback | None = None,
) -> Run:
    """Train every member of ``how`` by ``recipe`` and leave a finished run folder.

    Args:
        dataset: from kaggle_digits.data.dataset.load.
        recipe: how to train each member; a committee's every design learns every part.
        how: which rows are held out; one member a design and part.
        pseudo: a finished run; test images that it is sure of join the rows learnt from.
        runs_dir: where the run folder is made.
        name: of the run; None takes the model's name and the next free number.
        force: whether a run of that name is put aside rather than refused.
        taken: further names that a run without ``name`` is not given.
        executor: where members are trained; None for this process.
        callback: told what happens.

    Returns:
        The run; where members failed, its metrics' ``failed`` says which, and why.

    Raises:
        DigitsError: the name is taken, the data do not fit the split, every member fails, the disk
            refuses. Members that were finished are kept: go on with resume().
    """
    parts = split(dataset.labels, how)
    learnt = pseudo_labels(pseudo, dataset, parts) if pseudo else None
    executor = executor or InProcess()
    tasks = _tasks(recipe, parts, how.seed, learnt.labels if learnt else None)
    with create_run(Path(runs_dir), name, recipe.name, force=force, is_taken=taken) as run:
        config = _config(run, dataset, recipe, how, parts)
        config["trained_by"] = executor.describe(tasks)
        if pseudo and learnt:
            config["pseudo"] = {
                "run": pseudo.name,
                "rows": [int((labels >= 0).sum()) for labels in learnt.labels],
                "held_out_apart": learnt.held_out_apart,
            }
            keep(run.path, learnt.labels)
        run.write_config(config)
        try:
            _train_members(run, dataset, recipe, tasks, executor=executor, callback=callback)
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
    executor: Executor | None = None,
    callback: TrainingCallback | None = None,
) -> Run:
    """Go on with a run that was interrupted; ends at the figures of one that was not.

    Args:
        dataset: the same data as before.
        runs_dir: where runs stand.
        name: of the run; None takes the unfinished one that was touched last.
        executor: where members are trained; None for this process.
        callback: told what happens.

    Raises:
        RunError: there is no such run, or it was trained on other data.
    """
    run = open_run(Path(runs_dir), name) if name else _last_unfinished(Path(runs_dir))
    config = run.config()
    run.check_data(dataset)
    try:
        how, recipe = Split(**config["split"]), read_recipe(config["recipe"])
    except (KeyError, TypeError, RunError) as error:
        raise RunError(f"run {run.name} cannot be resumed: {error}") from error
    if not may_run(recipe, config.get("signature")):
        raise RunError(
            f"run {run.name} trains {recipe.model}, a function of somebody's own, and was not made "
            f"here; {signing.HOW_TO}"
        )
    with run.locked():
        whole = all(map(is_complete, run.member_folders()))
        if not (run.finished and whole):
            parts = split(dataset.labels, how)
            learnt = None
            if config.get("pseudo"):
                learnt = read(run.path, len(parts), len(dataset.test))
            tasks = _tasks(recipe, parts, how.seed, learnt)
            executor = (executor or InProcess()).for_resume(config.get("trained_by", {}))
            _train_members(run, dataset, recipe, tasks, executor=executor, callback=callback)
    return run


def _last_unfinished(runs_dir: Path) -> Run:
    unfinished = [run for run in list_runs(runs_dir) if not run.finished]
    if not unfinished:
        raise RunError(
            f"no unfinished run in {runs_dir}; start one: kd train --model dense (a finished one's "
            "submission is written by: kd predict RUN)"
        )
    return max(unfinished, key=lambda run: run.path.stat().st_mtime)


def _tasks(
    recipe: Recipe | EnsembleRecipe, parts: Sequence[FoldIndices], seed: int, pseudo: Labels | None
) -> list[FoldTask]:
    """One a design and part, all parts of the first design first: member k has part k % parts."""
    labels = [None] * len(parts) if pseudo is None else list(pseudo)
    pairs = product(recipe.recipes, zip(parts, labels, strict=True))
    return [
        FoldTask(member, design, part, member_seed(seed, member), known)
        for member, (design, (part, known)) in enumerate(pairs)
    ]


def _config(
    run: Run,
    dataset: Dataset,
    recipe: Recipe | EnsembleRecipe,
    how: Split,
    parts: Sequence[FoldIndices],
) -> dict[str, Any]:
    return {
        **({"signature": signing.sign_json(recipe.to_json())} if names_code(recipe) else {}),
        "name": run.name,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "kd_version": __version__,
        "model": recipe.model,
        "recipe": recipe.to_json(),
        "split": asdict(how),
        "split_fingerprint": fingerprint(parts),
        "seed": how.seed,
        "members": len(recipe.recipes) * len(parts),
        "data": {
            "source": dataset.source.source,
            "train_sha256": dataset.train.sha256,
            "test_sha256": dataset.test.sha256,
            "n_train": len(dataset.train),
            "n_test": len(dataset.test),
        },
        "versions": versions(),
        "machine": hardware(),
        "git_commit": git_commit(),
    }


def _train_members(
    run: Run,
    dataset: Dataset,
    recipe: Recipe | EnsembleRecipe,
    tasks: Sequence[FoldTask],
    *,
    executor: Executor,
    callback: TrainingCallback | None,
) -> None:
    """Have every member trained that is not yet, keep each, and put together what is there.

    Members that failed are left out and named in metrics.json; where none succeeds, nothing is
    put together and the first failure is raised.
    """
    callback = callback or TrainingCallback()
    folders = [run.member_folder(task.member) for task in tasks]
    left = [task for task, folder in zip(tasks, folders, strict=True) if not is_complete(folder)]
    callback.on_run_begin(run.name, len(tasks), len(tasks) - len(left))
    failures: list[Failed] = []

    def checkpoint(member: int) -> FileCheckpoint:
        return FileCheckpoint(run.member_folder(member) / CHECKPOINT)

    outcomes = executor.train(left, dataset.train, dataset.test, checkpoint, callback)
    with contextlib.closing(outcomes):  # type: ignore[type-var]
        for outcome in outcomes:
            number = outcome.task.member
            if isinstance(outcome, Fitted):
                save_result(run.member_folder(number), outcome.result)
                callback.on_member_end(number, outcome.result.seconds)
                continue
            failures.append(outcome)
            # What cannot pass with trying again stops the others alike.
            alike = outcome.attempts == 1 and not any(map(is_complete, folders))
            if alike or len(failures) == len(tasks):
                raise failures[0].error
            callback.on_member_error(number, str(outcome.error), outcome.attempts)
    aggregate(run, dataset, tasks, len(recipe.recipes), failures)
