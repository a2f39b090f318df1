"""Train a run: split the rows, fit a model on each fold, aggregate the predictions, write them."""

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.core import trust
from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.core.environment import check_clock, git_commit, hardware, versions
from kaggle_digits.core.errors import DigitsError, RunError, check_number
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Digits
from kaggle_digits.data.dropped_rows import drop_lines, read_dropped_lines
from kaggle_digits.data.splits import FoldIndices, Split, count_shared_images, fingerprint, split
from kaggle_digits.models.registry import FUNCTIONS
from kaggle_digits.runs.files import write_array
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import check_new_run, create_run, list_runs, open_run
from kaggle_digits.training import extra_rows, members, pseudo_labels
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.executor import Executor, Failed, Workload
from kaggle_digits.training.fold import FoldTask, member_seed
from kaggle_digits.training.model_trial import try_models
from kaggle_digits.training.recipe import AnyRecipe, run_recipe, runs_user_code
from kaggle_digits.training.time_limit import TimeLimit, default_limit, set_deadlines, shorten
from kaggle_digits.training.trackers import make_callback


def train(
    dataset: Dataset,
    recipe: AnyRecipe,
    split_config: Split,
    *,
    teacher: Run | None = None,
    drop_rows: Path | str | None = None,
    extra: Path | str | None = None,
    time_limit: float | TimeLimit | None = None,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    force: bool = False,
    is_taken: Callable[[str], bool] = lambda name: False,
    executor: Executor | None = None,
    callback: TrainingCallback | None = None,
    log_to: Sequence[str] = (),
) -> Run:
    """Train one model per fold (and per recipe of an ensemble) and write a finished run folder.

    If some members failed, ``failed`` in the run's metrics says which, and why.

    Args:
        split_config: which rows are held out.
        teacher: a finished run whose confident predictions of test images become pseudo-labels.
        drop_rows: a CSV file whose column ``line`` names lines of train.csv that are never trained
            on, such as the label-errors.csv of ``kd labels``; validation keeps all rows.
        extra: a folder of pictures with labels.csv, as ``kd app`` saves drawings, that every fold
            is trained on besides its rows; ``extra`` in config.json counts them.
        time_limit: seconds from now. If they are too few on this machine, the recipe gets fewer
            epochs and then the run fewer members; config.json and metrics.json say so. A recipe
            that fills the time has an hour by default, or a minute after the start on a GPU.
        runs_dir: where the run folder is created.
        name: of the run; None uses the recipe's name and the next free number.
        force: rename an existing run of that name first.
        is_taken: whether to skip a name that no run has; used without ``name``.
        executor: where models are trained; None for this process.
        log_to: trackers that also receive the run: ``tensorboard``, ``mlflow``, ``wandb``.

    Raises:
        DigitsError: the name is taken, a model of the user's does not work, the data do not fit
            the split, every member failed, or the folder cannot be written. Finished members are
            kept: continue with resume().
    """
    check_new_run(Path(runs_dir), name, force=force)
    if not isinstance(time_limit, TimeLimit | None):
        time_limit = TimeLimit(check_number("time_limit", time_limit, float))
    limit = time_limit or default_limit(recipe)
    executor, callback = executor or Executor(), make_callback(callback, log_to, Path(runs_dir))
    folds = split(dataset.labels, split_config)
    dropped = read_dropped_lines(Path(drop_rows), dataset.train) if drop_rows else []
    table = extra_rows.prepare(Path(extra), callback) if extra else None
    try_models(recipe, dataset.train, callback)
    plan: dict[str, Any] = {}
    if limit:
        callback.on_message(f"measuring the speed of {recipe.model} on this machine")
        recipe, split_config, plan = shorten(limit, dataset, recipe, split_config, executor)
        if limit.after_start:
            limit = replace(limit, began=time.time())
        reason = f"{limit.reason}; " if limit.reason else ""
        callback.on_message(f"time limit {limit.seconds:.0f} s: {reason}{plan['summary']}")
        folds = split(dataset.labels, split_config)
    pseudo = pseudo_labels.make(teacher, dataset, folds) if teacher else None
    rows, folds = _choose_rows(dataset.train, folds, dropped, table)
    if dropped:
        callback.on_message(
            f"{len(dropped):,} rows in {drop_rows} are not trained on; validation keeps all rows, "
            "so that accuracies with and without them compare"
        )
    if duplicates := count_shared_images(rows.images, folds):
        callback.on_warning(
            f"{duplicates:,} validation rows have the same image as a training row, so the "
            "accuracy is too high; `kd.inspect()` counts the duplicates in train.csv"
        )
    tasks = _make_tasks(recipe, folds, split_config.seed, pseudo.labels if pseudo else None)
    trained_by = executor.describe(tasks)
    if limit:
        at_once = max(trained_by.get(key) or 1 for key in ("workers", "members_at_once"))
        tasks = set_deadlines(tasks, limit, plan["measured"], at_once)
    with create_run(Path(runs_dir), name, recipe.name, force=force, is_taken=is_taken) as run:
        config: dict[str, Any] = {
            "name": run.name,
            "created": datetime.now().astimezone().isoformat(timespec="seconds"),
            "kd_version": __version__,
            "model": recipe.model,
            "recipe": recipe.to_json(),
            "split": asdict(split_config),
            "split_fingerprint": fingerprint(folds),
            "val_rows_also_trained_on": duplicates,
            "seed": split_config.seed,
            "members": len(tasks),
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
            "trained_by": trained_by,
            **({"time_limit": plan} if plan else {}),
        }
        if drop_rows:
            path = Path(drop_rows)
            config["dropped_rows"] = {"file": path.name, "sha256": sha256(path), "lines": dropped}
        if extra and table is not None:
            hashed = {"folder": Path(extra).name, "rows": len(table)}
            config["extra"] = {**hashed, "sha256": extra_rows.checksum(table)}
            write_array(run.path / extra_rows.FILE, table)
        if teacher and pseudo:
            config["pseudo"] = {
                "run": teacher.name,
                "extra_rows": teacher.extra_rows(),
                "rows": [int((labels >= 0).sum()) for labels in pseudo.labels],
                "held_out_apart": pseudo.held_out_apart,
                "teachers": [teacher.name, *teacher.teachers()],
            }
            write_array(run.path / pseudo_labels.FILE, pseudo.labels)
        run.write_config(config)
        try:
            _fit_and_aggregate(
                run, dataset, recipe, tasks, rows, executor=executor, callback=callback
            )
        except DigitsError:
            if not any(run.path.glob("members/*/*")):  # no work would be lost
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
    log_to: Sequence[str] = (),
) -> Run:
    """Continue an interrupted run; the results are those of an uninterrupted one.

    ``dataset`` is the same as before. Without ``name``, the unfinished run that was changed last is
    resumed. ``executor``, ``callback`` and ``log_to`` are as in ``train``.

    Raises:
        RunError: there is no such run, it was trained on other data, or it would run code of the
            user's own and the user did not type --trust.
    """
    if name:
        run = open_run(Path(runs_dir), name)
    else:
        unfinished = [run for run in list_runs(Path(runs_dir)) if not run.finished]
        if not unfinished:
            raise RunError(
                f"no unfinished run in {runs_dir}; start one: `kd.train(dataset, 'dense')` (the "
                "submission of a finished one: `kd.open_run(RUN).write_submission()`)"
            )
        run = max(unfinished, key=lambda run: run.path.stat().st_mtime)
    config = run.config()
    if config.get("ensemble"):
        raise RunError(
            f"run {run.name} is an ensemble, which is not trained; make it again: "
            f"{run.repair_command()}"
        )
    run.check_data(dataset)
    recipe = run_recipe(run)
    folds = run.folds(dataset)
    if config["members"] != len(folds) * len(recipe.recipes):
        raise RunError(
            f"config.json of run {run.name} counts {config['members']} members, but its split and "
            f"recipe make {len(folds) * len(recipe.recipes)}; train it again under another name"
        )
    is_known = all(one.model in FUNCTIONS for one in recipe.recipes)
    if runs_user_code(recipe) and not is_known and not trust.is_enabled():
        raise RunError(
            f"resuming run {run.name} would run the code of {recipe.model}, which its config.json "
            f"names; {trust.HINT}"
        )
    callback = make_callback(callback, log_to, Path(runs_dir))
    with run.locked():
        if not run.has_all_results or not all(map(members.is_complete, run.member_folders())):
            pseudo = None
            if config.get("pseudo"):
                pseudo = pseudo_labels.load(run.path, len(folds), len(dataset.test))
            dropped = (config.get("dropped_rows") or {}).get("lines") or []
            extra = extra_rows.load(run.path, config["extra"]) if config.get("extra") else None
            rows, folds = _choose_rows(dataset.train, folds, dropped, extra)
            tasks = _make_tasks(recipe, folds, config["split"].get("seed") or 0, pseudo)
            complete = filter(members.is_complete, run.member_folders())
            finished = {int(folder.name) // len(folds): folder for folder in complete}
            try_models(recipe, dataset.train, callback, finished)
            executor = (executor or Executor()).for_resume(config["trained_by"])
            _fit_and_aggregate(
                run, dataset, recipe, tasks, rows, executor=executor, callback=callback
            )
    return run


def has_settings(
    run: Run,
    recipe: AnyRecipe,
    split_config: Split,
    teacher: str | None = None,
    drop_rows: Path | None = None,
    *,
    extra: Path | None = None,
) -> bool:
    """Return whether ``run``, finished or not, was trained with these settings."""
    config = run.config()
    dropped = sha256(drop_rows) if drop_rows else None
    extra_sha256 = extra_rows.checksum(extra_rows.prepare(extra)) if extra else None
    return (
        run_recipe(run) == recipe
        and config["split"] == asdict(split_config)
        and (config.get("pseudo") or {}).get("run") == teacher
        and (config.get("dropped_rows") or {}).get("sha256") == dropped
        and (config.get("extra") or {}).get("sha256") == extra_sha256
    )


def _choose_rows(
    train: Digits,
    folds: Sequence[FoldIndices],
    dropped: Sequence[int],
    extra: extra_rows.Table | None,
) -> tuple[Digits, list[FoldIndices]]:
    """Return all labelled rows, and the folds without the dropped lines and with the extra rows."""
    if dropped:
        folds = drop_lines(folds, dropped, train)
    return (train, list(folds)) if extra is None else extra_rows.append(train, folds, extra)


def _make_tasks(
    recipe: AnyRecipe,
    folds: Sequence[FoldIndices],
    seed: int,
    labels: pseudo_labels.TestLabels | None,
) -> list[FoldTask]:
    """Return one task per recipe and fold, all folds of the first recipe first."""
    of_folds = [None] * len(folds) if labels is None else list(labels)
    pairs = product(recipe.recipes, zip(folds, of_folds, strict=True))
    return [
        FoldTask(member, one, fold, member_seed(seed, member), fold_labels)
        for member, (one, (fold, fold_labels)) in enumerate(pairs)
    ]


def _fit_and_aggregate(
    run: Run,
    dataset: Dataset,
    recipe: AnyRecipe,
    tasks: Sequence[FoldTask],
    rows: Digits,
    *,
    executor: Executor,
    callback: TrainingCallback,
) -> None:
    """Fit and save every member that is not yet complete, then aggregate them.

    ``rows`` are the labelled rows of ``dataset``, then those of ``extra``.
    Failed members are left out and named in metrics.json. If all fail, the first error is raised.
    """
    check_clock()
    if leak := run.leak():
        callback.on_warning(
            f"{leak}, so the run has no out-of-fold accuracy; train all of these runs with the "
            "same `folds`, `repeats`, `rows` and `seed`"
        )
    todo = [task for task in tasks if not members.is_complete(run.member_folder(task.member))]
    callback.on_run_begin(run.name, len(tasks), len(tasks) - len(todo))
    failures: list[Failed] = []
    checkpoints = partial(members.checkpoint, run)
    outcomes = executor.train(Workload(todo, rows, dataset.test, checkpoints, callback))
    with contextlib.ExitStack() as stack:
        stack.callback(callback.on_run_end, run.name)
        stack.enter_context(contextlib.closing(outcomes))  # type: ignore[type-var]
        for outcome in outcomes:
            member = outcome.task.member
            if not isinstance(outcome, Failed):
                members.save_result(run.member_folder(member), outcome)
                callback.on_member_end(member, outcome.seconds)
                continue
            failures.append(outcome)
            # An error that is not worth a second attempt would stop the other members as well.
            permanent = outcome.attempts == 1 and not any(
                map(members.is_complete, run.member_folders())
            )
            if permanent or len(failures) == len(tasks):
                raise failures[0].error
            callback.on_member_error(member, str(outcome.error), outcome.attempts)
        members.aggregate(run, dataset, tasks, len(recipe.recipes), failures)
