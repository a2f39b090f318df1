"""Search for better settings of a recipe with Optuna; several processes may share a study."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import ModelError, RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.runs.run import check_name
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.objective import cross_validate, make_pruner, make_sampler
from kaggle_digits.tuning.optuna_import import optuna
from kaggle_digits.tuning.results import SearchResult, best_trial, read_result
from kaggle_digits.tuning.search_space import Dimension, current_value, with_values
from kaggle_digits.tuning.storage import (
    fail_stale_trials,
    open_storage,
    storage_errors,
    study_lock,
    trial_lock,
)
from kaggle_digits.tuning.trial import Attribute, TrialCallback, count_done, to_trial

# Beside the runs; it is not listed as a run because it has no config.json.
FOLDER = "tuning"
SETTINGS = "setting"  # attribute of a study


class EnoughTrials(Exception):  # noqa: N818 (a signal, not an error)
    """As many trials as requested are finished or running."""


def search(
    dataset: Dataset,
    recipe: Recipe,
    space: Sequence[Dimension],
    split_config: Split,
    *,
    trials: int,
    minutes: float | None = None,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    storage: str | None = None,
    callback: TrialCallback | None = None,
) -> SearchResult:
    """Run trials until the study has ``trials`` of them; an existing study is continued.

    Several processes may do so at once on one storage. With one process the same seed gives the
    same trials, also after an interruption; with several, values depend on who finishes first.

    Args:
        recipe: the recipe to vary; its own values are the first trial.
        space: from make_search_space.
        split_config: the folds on which every trial is trained.
        trials: how many in all, including those of an existing study.
        minutes: start no trial after this time; None for no limit.
        runs_dir: the study's folder is ``tuning/<name>`` in it.
        name: of the study; by default the recipe's.
        storage: URL of a database that several machines share; by default a file in the folder.

    Raises:
        UsageError: a value is not valid, or the storage cannot be reached.
        RunError: the study exists with other data or settings.
        KeyboardInterrupt: finished trials are kept.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials} is too few; at least 1")
    if split_config.kind != "folds":
        raise UsageError("a search needs folds, not a hold-out")
    name = check_name(name or _default_name(recipe))
    folder = Path(runs_dir) / FOLDER / name
    folds, seed = split(dataset.labels, split_config), split_config.seed
    callback = callback or TrialCallback()
    settings = _settings(dataset, recipe, space, split_config)
    locks = ExitStack()

    def done() -> int:
        return count_done(study.get_trials(deepcopy=False))

    def objective(trial: optuna.Trial) -> float:
        started = time.perf_counter()
        locks.enter_context(trial_lock(folder, trial.number))
        trial.set_user_attr(Attribute.STARTED, value=True)
        # Another process may have started the last trial at the same moment.
        if count_done(study.get_trials(deepcopy=False)[: trial.number]) >= trials:
            raise EnoughTrials
        # Optuna samples the values when the first one is suggested.
        study.sampler = make_sampler(seed, trial.number, trials)
        values = {dimension.name: dimension.suggest(trial) for dimension in space}
        trial.set_user_attr(Attribute.VALUES, values)
        callback.on_trial_begin(trial.number + 1, values, len(folds))
        try:
            varied = with_values(recipe, values)
            score = cross_validate(trial, varied, dataset, folds, seed, callback)
        except ModelError as error:
            # PRUNED instead of FAIL, so that the sampler avoids such values.
            trial.set_user_attr(Attribute.REASON, str(error))
            raise optuna.TrialPruned from error
        seconds = time.perf_counter() - started
        trial.set_user_attr(Attribute.METRICS, asdict(score) | {"seconds": seconds})
        return score.log_loss

    def after_trial(study: optuna.Study, frozen: optuna.trial.FrozenTrial) -> None:
        locks.close()
        interrupts.raise_if_interrupted()
        everyone = map(to_trial, study.get_trials(deepcopy=False))
        callback.on_trial_end(to_trial(frozen), best_trial(everyone), done())
        fail_stale_trials(study, folder)
        if done() >= trials:
            study.stop()

    with storage_errors(storage):
        with study_lock(folder):
            study = _create_or_load(name, open_storage(storage, folder), settings)
            _enqueue_recipe(study, recipe, space)
        fail_stale_trials(study, folder)
        study.pruner = make_pruner(recipe.epochs)
        callback.on_search_begin(name, done(), trials)
        if done() < trials:
            timeout = None if minutes is None else 60 * minutes
            with locks, suppress(EnoughTrials):
                study.optimize(objective, timeout=timeout, callbacks=[after_trial])
        return read_result(study, folder, recipe, tuple(space))


def load_search(
    recipe: Recipe,
    space: Sequence[Dimension],
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    storage: str | None = None,
) -> SearchResult:
    """Read an existing study without changing it; raise RunError if there is none."""
    name = check_name(name or _default_name(recipe))
    folder = Path(runs_dir) / FOLDER / name
    with storage_errors(storage):
        try:
            study = optuna.load_study(study_name=name, storage=open_storage(storage, folder))
        except KeyError:
            raise RunError(f"there is no study {name} yet") from None
        return read_result(study, folder, recipe, tuple(space))


def _default_name(recipe: Recipe) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", recipe.name).strip("-_")[:56] or "study"


def _settings(
    dataset: Dataset, recipe: Recipe, space: Sequence[Dimension], split_config: Split
) -> dict[str, Any]:
    """Return all that must be equal in the trials of a study, under names for a message."""
    settings = {
        "train.csv": dataset.train.sha256,
        "recipe": recipe.to_json(),
        "--vary": [dimension.option for dimension in space],
        "split": asdict(split_config),  # --folds, --rows and --seed
    }
    # Compared with what the study returns, which has been JSON: lists instead of tuples.
    return json.loads(json.dumps(settings))  # type: ignore[no-any-return]


def _create_or_load(name: str, storage: Any, settings: dict[str, Any]) -> optuna.Study:
    """Return the study; RunError if it exists with other settings."""
    study = optuna.create_study(
        storage=storage, study_name=name, direction="minimize", load_if_exists=True
    )
    if SETTINGS not in study.user_attrs:
        if study.get_trials(deepcopy=False):
            raise RunError(
                f"study {name} was not made by kd tune; choose another name for yours: --name"
            )
        study.set_user_attr(SETTINGS, settings)
    existing = study.user_attrs[SETTINGS]
    different = [key for key, value in settings.items() if existing.get(key) != value]
    if different:
        raise RunError(
            f"study {name} already exists with another {' and '.join(different)}; continue it with "
            "the command that started it, or start another one with --name"
        )
    return study


def _enqueue_recipe(study: optuna.Study, recipe: Recipe, space: Sequence[Dimension]) -> None:
    """Let the first trial be the recipe's own values, if they are in the search space."""
    values = {dimension.name: current_value(recipe, dimension.name) for dimension in space}
    inside = all(dimension.contains(values[dimension.name]) for dimension in space)
    if inside and not study.get_trials(deepcopy=False):
        study.enqueue_trial(values)
