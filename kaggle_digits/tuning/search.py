"""Search for better settings of a recipe with Optuna; several processes may share a study."""

import json
import math
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core import environment, interrupts
from kaggle_digits.core.errors import ModelError, RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Digits
from kaggle_digits.data.splits import FoldIndices, Split, split
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import Score, score_or_raise
from kaggle_digits.runs.run import check_name
from kaggle_digits.runs.store import check_new_name
from kaggle_digits.training import extra_rows
from kaggle_digits.training.callbacks import CallbackList, EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.training.model_trial import try_models
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning import results, search_space
from kaggle_digits.tuning import storage as study_storage
from kaggle_digits.tuning.optuna_import import optuna
from kaggle_digits.tuning.search_space import Dimension, Value, current_values
from kaggle_digits.tuning.storage import fail_stale_trials, open_storage, storage_errors

# Beside the runs; it is not listed as a run because it has no config.json.
FOLDER = "tuning"
SETTINGS = "setting"  # attribute of a study
# No trial is pruned before this share of the first fold's epochs, because a model with a high
# learning rate is bad until the learning rate has decayed.
MIN_SHARE_OF_EPOCHS = 2 / 3
# Number of trials with random values, before the sampler uses the results of earlier trials.
MIN_RANDOM, MAX_RANDOM = 3, 10


class EnoughTrials(Exception):  # noqa: N818 (a signal, not an error)
    """As many trials as requested are finished or running."""


def search(  # noqa: PLR0915 (the objective and the callback are inside it)
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
    extra: Path | str | None = None,
    callback: results.TrialCallback | None = None,
) -> results.SearchResult:
    """Run trials until the study has ``trials`` of them; an existing study is continued.

    Several processes may do so at once on one storage. With one process the same seed gives the
    same trials, also after an interruption; with several, values depend on who finishes first.

    Args:
        recipe: the recipe to vary; its own values are the first trial.
        space: from make_search_space.
        split_config: the folds on which every trial is trained.
        trials: how many in all, including those of an existing study. If they are enough for all
            combinations of lists of values, each is tried once, and no more.
        minutes: start no trial after this time; None for no limit.
        runs_dir: the study's folder is ``tuning/<name>`` in it.
        name: of the study; by default the recipe's.
        storage: URL of a database that several machines share; by default a file in the folder.
        extra: a folder of pictures that each fold also trains on, as for ``train``.

    Raises:
        DataError: the pictures of ``extra`` cannot be read.
        UsageError: a value is not valid, or the storage cannot be reached.
        RunError: the study exists with other data or settings.
        KeyboardInterrupt: finished trials are kept.
    """
    if trials < 1:
        raise UsageError(f"`trials={trials}` is too few; at least 1")
    if split_config.kind != "folds":
        raise UsageError("a search needs folds, not a hold-out")
    folder = study_folder(runs_dir, name, recipe)
    name = check_new_name(folder.parent, folder.name)
    folds, seed = split(dataset.labels, split_config), split_config.seed
    if whole_grid := 0 < search_space.grid_size(space) <= trials:
        trials = search_space.grid_size(space)
    callback = callback or results.TrialCallback()
    settings = _settings(dataset, recipe, space, split_config)
    rows = dataset.train
    if extra:
        table = extra_rows.prepare(Path(extra), callback)
        rows, folds = extra_rows.append(rows, folds, table)
        settings["--extra"] = extra_rows.checksum(table)
    locks = ExitStack()

    def done() -> int:
        return results.count_done(study.get_trials(deepcopy=False))

    def objective(trial: optuna.Trial) -> float:
        started = time.perf_counter()
        locks.enter_context(study_storage.trial_lock(folder, trial.number))
        trial.set_user_attr(results.STARTED, value=True)
        # Another process may have started the last trial at the same moment.
        if results.count_done(study.get_trials(deepcopy=False)[: trial.number]) >= trials:
            raise EnoughTrials
        # Optuna samples the values when the first one is suggested.
        study.sampler = _make_sampler(seed, trial.number, trials)
        values = {dimension.name: dimension.suggest(trial) for dimension in space}
        trial.set_user_attr(results.VALUES, values)
        callback.on_trial_begin(trial.number + 1, values, len(folds))
        try:
            varied = search_space.with_values(recipe, values)
            score = _cross_validate(trial, varied, dataset, rows, folds, seed, callback)
        except ModelError as error:
            # PRUNED instead of FAIL, so that the sampler avoids such values.
            trial.set_user_attr(results.REASON, str(error))
            raise optuna.TrialPruned from error
        seconds = time.perf_counter() - started
        trial.set_user_attr(results.METRICS, asdict(score) | {"seconds": seconds})
        return score.log_loss

    def after_trial(study: optuna.Study, frozen: optuna.trial.FrozenTrial) -> None:
        locks.close()
        interrupts.raise_if_interrupted()
        everyone = map(results.to_trial, study.get_trials(deepcopy=False))
        callback.on_trial_end(results.to_trial(frozen), results.best_trial(everyone), done())
        fail_stale_trials(study, folder)
        if done() >= trials:
            study.stop()

    try_models(recipe, dataset.train, callback)
    with storage_errors(storage):
        with study_storage.study_lock(folder):
            study = _create_or_load(name, open_storage(storage, folder), settings)
            _enqueue(study, current_values(recipe, space), space, whole_grid=whole_grid)
        for number in fail_stale_trials(study, folder):
            callback.on_warning(
                f"the process of trial {number + 1} was killed (out of memory? "
                f"{environment.memory()[0] / 2**30:.1f} GB may be used here); its values are tried "
                f"again, at most {study_storage.MAX_RETRIES} times"
            )
        # Stop trials that are worse than the median of the others at the same step.
        study.pruner = optuna.pruners.MedianPruner(
            n_startup_trials=4, n_warmup_steps=math.ceil(MIN_SHARE_OF_EPOCHS * recipe.epochs)
        )
        callback.on_search_begin(name, done(), trials)
        if done() < trials:
            timeout = None if minutes is None else 60 * minutes
            with locks, suppress(EnoughTrials):
                study.optimize(objective, timeout=timeout, callbacks=[after_trial])
        return results.read_result(study, folder, recipe, tuple(space))


def load_search(
    recipe: Recipe,
    space: Sequence[Dimension],
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    storage: str | None = None,
) -> results.SearchResult:
    """Read an existing study without changing it; raise RunError if there is none."""
    folder = study_folder(runs_dir, name, recipe)
    name = folder.name
    with storage_errors(storage):
        try:
            study = optuna.load_study(study_name=name, storage=open_storage(storage, folder))
        except KeyError:
            raise RunError(f"there is no study {name} yet") from None
        return results.read_result(study, folder, recipe, tuple(space))


def study_folder(runs_dir: Path | str, name: str | None, recipe: Recipe) -> Path:
    """Return the folder of the study ``name``, which has the recipe's name by default."""
    default = re.sub(r"[^A-Za-z0-9_-]+", "-", recipe.name).strip("-_")[:56] or "study"
    return Path(runs_dir) / FOLDER / check_name(name or default)


def _settings(
    dataset: Dataset, recipe: Recipe, space: Sequence[Dimension], split_config: Split
) -> dict[str, Any]:
    """Return all that must be equal in the trials of a study, under names for a message."""
    settings = {
        "train.csv": dataset.train.sha256,
        "recipe": recipe.to_json(),
        "--vary": [dimension.option for dimension in space],
        "split": asdict(split_config),  # --folds, --rows and --seed
        "--extra": None,  # or the checksum of the pictures
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
                f"study {name} was not made by `kd.tune()`; choose another name for yours: `name`"
            )
        study.set_user_attr(SETTINGS, settings)
    existing = study.user_attrs[SETTINGS]
    different = [
        (f"`{key[2:]}`" if key.startswith("--") else key) + _differences(existing.get(key), value)
        for key, value in settings.items()
        if existing.get(key) != value
    ]
    if different:
        raise RunError(
            f"study {name} already exists with another {' and '.join(different)}; continue it with "
            "the command that started it, or start another one with `name`"
        )
    return study


def _differences(existing: Any, asked: Any) -> str:
    """Return " (`rows=2000`, no `l2`)", the values of an existing study that differ; "" if none."""
    if not isinstance(existing, dict) or not isinstance(asked, dict):
        return ""
    changed = (key for key in asked if existing.get(key) != asked[key])
    values = ((key, existing.get(key)) for key in changed)
    return f" ({', '.join(f'no `{k}`' if v is None else f'`{k}={v!r}`' for k, v in values)})"


def _enqueue(
    study: optuna.Study, own: dict[str, Value], space: Sequence[Dimension], *, whole_grid: bool
) -> None:
    """Let the first trial be the recipe's own values, if they are in the search space.

    With ``whole_grid``, all combinations of values follow that the study does not have.
    """
    inside = all(dimension.contains(own[dimension.name]) for dimension in space)
    queue = [own] if inside else []
    if whole_grid:
        queue = sorted(search_space.grid(space), key=lambda values: values != own)
    for values in queue:
        study.enqueue_trial(values, skip_if_exists=True)


def _cross_validate(  # noqa: PLR0917
    trial: optuna.Trial,
    recipe: Recipe,
    dataset: Dataset,
    rows: Digits,
    folds: Sequence[FoldIndices],
    seed: int,
    callback: TrainingCallback,
) -> Score:
    """Train ``recipe`` on every fold; return the out-of-fold score with the calibrated log loss.

    ``rows`` are the labelled rows of ``dataset``, then those of ``extra``.
    TrialPruned is raised if other trials were better, ModelError if the model cannot be trained.
    """
    pruning = _PruningCallback(trial, recipe.epochs)
    callbacks = CallbackList(callback, pruning)
    no_test_rows = replace(dataset.test, images=dataset.test.images[:0])
    probabilities = np.full((len(dataset.labels), 10), np.nan, np.float32)
    for number, fold in enumerate(folds):
        task = FoldTask(number, recipe, fold, member_seed(seed, number), litert=False)
        result = fit_fold(task, rows, no_test_rows, callback=callbacks)
        probabilities[fold.val] = result.val_probabilities
        callback.on_member_end(number, result.seconds)
        pruning.on_fold_end(score_or_raise(result.val_probabilities, dataset.labels[fold.val]))
    temperature = fit_temperature(probabilities, dataset.labels)
    calibrated = score_or_raise(apply_temperature(probabilities, temperature), dataset.labels)
    return replace(score_or_raise(probabilities, dataset.labels), log_loss=calibrated.log_loss)


class _PruningCallback(TrainingCallback):
    """Reports the validation loss to the study and prunes the trial.

    Values are comparable only on the same rows after the same number of epochs. So each epoch of
    the first fold is a step, and each further fold is one step with the mean over the folds so far.
    If the label smoothing varies, the value is 1 - accuracy, because label smoothing changes the
    log loss but not the predictions.
    """

    def __init__(self, trial: optuna.Trial, epochs: int) -> None:
        self._trial, self._epochs = trial, epochs
        self._use_accuracy = "label_smoothing" in trial.params
        self._folds: list[float] = []

    def on_epoch_end(self, row: EpochMetrics) -> None:
        if not self._folds:
            self._report(1 - row.val_accuracy if self._use_accuracy else row.val_loss, row.epoch)

    def on_fold_end(self, result: Score) -> None:
        self._folds.append(1 - result.accuracy if self._use_accuracy else result.log_loss)
        if len(self._folds) > 1:
            self._report(float(np.mean(self._folds)), self._epochs + len(self._folds) - 1)

    def _report(self, value: float, step: int) -> None:
        self._trial.report(value, step)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def _make_sampler(seed: int, number: int, trials: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's TPESampler (Bergstra et al. 2011) for the trial ``number`` of ``trials``.

    With one seed for all trials, processes that share a study would try the same values, and a
    resumed search would repeat its first values.
    """
    trial_seed = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    random_trials = min(MAX_RANDOM, max(MIN_RANDOM, trials // 3))
    return optuna.samplers.TPESampler(seed=int(trial_seed), n_startup_trials=random_trials)
