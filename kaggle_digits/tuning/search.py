"""A search for better settings of a recipe: trials on folds, in a study that many may share."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.runs.store import check_name
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.objective import (
    Objective,
    SurplusError,
    Trial,
    TrialWatcher,
    as_trial,
    counts,
    make_pruner,
)
from kaggle_digits.tuning.sampler import make_sampler
from kaggle_digits.tuning.search_space import Dimension, changed
from kaggle_digits.tuning.storage import (
    WORKER,
    bury_the_dead,
    open_storage,
    opening,
    optuna_package,
    storage_errors,
    worker,
)
from kaggle_digits.tuning.study import BASE, begin_with, first_values, make_setting, open_study

if TYPE_CHECKING:
    import optuna

# Of a run's kind, but no run: there is no config.json in it.
FOLDER = "tuning"
FEWEST_FOR_IMPORTANCE = 4


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        name: of the study.
        folder: where its file, picture and recipe stand.
        space: what was varied.
        trials: all of them, as numbered, those of other processes too.
        best: the finished trial with the lowest log loss; None where none finished.
        recipe: the best trial's.
        base: the number of the trial that tried the recipe as it was; None where its own values
            lie outside the space.
        importances: setting → share of the log loss's variance that it explains (fANOVA, Hutter et
            al. 2014), the most important first; empty where too few trials finished.
    """

    name: str
    folder: Path
    space: tuple[Dimension, ...]
    trials: tuple[Trial, ...]
    best: Trial | None
    recipe: Recipe | None
    base: int | None
    importances: dict[str, float]

    @property
    def done(self) -> int:
        """Trials that ended by themselves."""
        return sum(trial.state in ("finished", "pruned", "failed") for trial in self.trials)


def search(
    dataset: Dataset,
    recipe: Recipe,
    space: Sequence[Dimension],
    how: Split,
    *,
    trials: int,
    minutes: float | None = None,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    storage: str | None = None,
    callback: TrialWatcher | None = None,
) -> Search:
    """Try settings until the study has ``trials`` trials in all; called again it goes on.

    Several processes may do so at once on one storage. With one process the same seed gives the
    same search; with several it depends on who is done first.

    Args:
        dataset: from kaggle_digits.data.dataset.load.
        recipe: where the search begins; its own settings are the first trial.
        space: from find_space.
        how: the folds that every trial is trained on.
        trials: how many in all, those that stand already included.
        minutes: begin no trial after so many; None for no end.
        runs_dir: the study stands in its folder ``tuning/<name>``.
        name: of the study; None takes the recipe's.
        storage: URL of a database for many machines; None keeps an SQLite file in the folder.
        callback: told what happens.

    Raises:
        UsageError: Optuna is missing, or a value can never work.
        RunError: the study stands already with other data or settings.
        KeyboardInterrupt: finished trials are kept.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials} is too few; at least 1")
    if how.kind != "folds":
        raise UsageError("a search is measured on folds")
    name = check_name(name or _study_name(recipe))
    folder = study_folder(runs_dir, name)
    parts = split(dataset.labels, how)
    callback = callback or TrialWatcher()
    with storage_errors(storage, folder):
        setting = make_setting(dataset, recipe, space, how)
        with opening(folder):
            study = open_study(name, open_storage(storage, folder), setting)
            bury_the_dead(study, folder)
            if start := first_values(recipe, space):
                begin_with(study, start)
        study.sampler = make_sampler(how.seed, trials)
        study.pruner = make_pruner(recipe.epochs)
        end = None if minutes is None else time.monotonic() + 60 * minutes
        with worker(folder) as me:
            objective = Objective(trials, dataset, recipe, space, parts, how.seed, me, callback)
            callback.search_started(name, _count(study), trials)
            while _count(study) < trials and (end is None or time.monotonic() < end):
                try:
                    study.optimize(objective, n_trials=1)
                except SurplusError:
                    break
                interrupts.raise_if_interrupted()
                _tell(callback, study, me)
                bury_the_dead(study, folder)
        return _found(study, folder, recipe, tuple(space))


def found_so_far(
    recipe: Recipe,
    space: Sequence[Dimension],
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    storage: str | None = None,
) -> Search:
    """What a study that stands holds; nothing is trained, nothing changed.

    Raises:
        UsageError: Optuna is missing, or the storage cannot be reached.
        RunError: there is no such study.
    """
    name = check_name(name or _study_name(recipe))
    folder = study_folder(runs_dir, name)
    with storage_errors(storage, folder):
        try:
            study = optuna_package().load_study(
                study_name=name, storage=open_storage(storage, folder)
            )
        except KeyError:
            raise RunError(f"there is no study {name} yet") from None
        return _found(study, folder, recipe, tuple(space))


def study_folder(runs_dir: Path | str, name: str) -> Path:
    """Where the files of the study ``name`` stand."""
    return Path(runs_dir) / FOLDER / name


def _study_name(recipe: Recipe) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", recipe.name).strip("-_")[:56] or "study"


def _count(study: optuna.study.Study) -> int:
    return sum(counts(trial) for trial in study.get_trials(deepcopy=False))


def _tell(callback: TrialWatcher, study: optuna.study.Study, me: str) -> None:
    """Say how the last trial of this process ended."""
    everyone = study.get_trials(deepcopy=False)
    own = [frozen for frozen in everyone if frozen.user_attrs.get(WORKER) == me]
    known = [as_trial(frozen) for frozen in everyone]
    callback.trial_finished(as_trial(own[-1]), _best(known), _count(study))


def _found(
    study: optuna.study.Study, folder: Path, recipe: Recipe, space: tuple[Dimension, ...]
) -> Search:
    # A trial without values was given back, or its process killed, before anything was tried.
    known = [as_trial(frozen) for frozen in study.get_trials(deepcopy=False)]
    trials = tuple(trial for trial in known if trial.values)
    best = _best(trials)
    return Search(
        study.study_name,
        folder,
        space,
        trials,
        best,
        changed(recipe, best.values) if best else None,
        study.user_attrs.get(BASE),
        _importances(study),
    )


def _best(trials: Sequence[Trial]) -> Trial | None:
    finished = [trial for trial in trials if trial.score is not None]
    return min(finished, key=lambda trial: (log_loss(trial), trial.number), default=None)


def log_loss(trial: Trial) -> float:
    """Of a trial, to sort by; infinite where it did not finish."""
    return trial.score.log_loss if trial.score else math.inf


def _importances(study: optuna.study.Study) -> dict[str, float]:
    optuna = optuna_package()
    finished = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state == optuna.trial.TrialState.COMPLETE
    ]
    losses = {trial.value for trial in finished}
    if len(finished) < FEWEST_FOR_IMPORTANCE or len(losses) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}
