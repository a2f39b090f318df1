"""The trials of a search and what comes of them: the best recipe as a file, and Optuna's plots.

Optuna is imported when a study is read, because ``kd train`` imports this module and needs none.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kaggle_digits.core.atomic_io import backup_existing
from kaggle_digits.core.errors import RunError
from kaggle_digits.core.output_paths import check_output
from kaggle_digits.metrics.scores import Score
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.recipe import Recipe, write_recipe_file
from kaggle_digits.tuning.search_space import Dimension, Value, current_values, with_values

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

RECIPE = "best.json"
IMPORTANCE_PLOT, SLICE_PLOT = "importance.png", "slice.png"
# With fewer finished trials the importances would be noise.
MIN_TRIALS_FOR_IMPORTANCE = 4
LOSS = "calibrated log loss"

State = Literal["finished", "pruned", "failed", "stopped", "running"]
# Names of the attributes of a trial in Optuna's study.
STARTED, VALUES, METRICS, REASON = "worker", "values", "figures", "reason"
STATES: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "stopped"}


@dataclass(frozen=True)
class Trial:
    """One trial: a recipe with certain values, trained on every fold.

    Attributes:
        number: counted from 1.
        state: ``finished``; ``pruned``, stopped early because others were better; ``failed`` for
            ``reason``; ``stopped`` by Ctrl-C or because its process was killed; ``running``.
        score: out-of-fold score on all rows, None unless finished. Its log loss is measured after
            temperature scaling, because label smoothing changes the confidence of a model and not
            its predictions.
        seconds: duration; NaN while it runs.
    """

    number: int
    state: State
    values: dict[str, Value]
    score: Score | None = None
    seconds: float = math.nan
    reason: str = ""

    @property
    def log_loss(self) -> float:
        """The calibrated log loss; infinite unless finished."""
        return self.score.log_loss if self.score else math.inf


def to_trial(frozen: FrozenTrial) -> Trial:
    """Convert a trial of Optuna's study."""
    attributes = frozen.user_attrs
    reason = attributes.get(REASON, "")
    state = STATES.get(frozen.state.name, "running")
    if state == "pruned" and reason:
        state = "failed"
    seconds = frozen.duration.total_seconds() if frozen.duration else math.nan
    score = None
    if state == "finished":
        metrics = attributes[METRICS]
        seconds, (low, high) = metrics["seconds"], metrics["ci95"]
        score = Score(metrics["accuracy"], (low, high), metrics["log_loss"], metrics["n"])
    values = attributes.get(VALUES, {})
    return Trial(frozen.number + 1, state, values, score, seconds, reason)


def count_done(trials: Iterable[FrozenTrial]) -> int:
    """Return how many trials are complete, pruned, or running in a process."""
    return sum(
        trial.state.name in ("COMPLETE", "PRUNED")
        or (trial.state.name == "RUNNING" and STARTED in trial.user_attrs)
        for trial in trials
    )


class TrialCallback(TrainingCallback):
    """Methods called during a search; override those that you need."""

    def on_search_begin(self, name: str, done: int, trials: int) -> None:
        """Called first: ``done`` of ``trials`` trials are finished or running already."""

    def on_trial_begin(self, number: int, values: Mapping[str, Value], folds: int) -> None:
        """Called before a trial; the other methods name its folds members 0 to ``folds`` - 1."""

    def on_trial_end(self, trial: Trial, best: Trial | None, done: int) -> None:
        """Called after a trial with the best one so far and the number of trials done."""


@dataclass(frozen=True)
class SearchResult:
    """The state of a study with its files' ``folder`` and the varied settings ``space``.

    Attributes:
        trials: all trials in the order of their numbers, also those of other processes.
        best: the finished trial with the lowest log loss, or None.
        recipe: the recipe of the best trial, or None.
        base: number of the trial with the values of the original recipe; None if they are outside
            the search space.
        importances: setting → share of the log loss's variance that it explains (fANOVA, Hutter et
            al. 2014), largest first; empty after fewer than 4 finished trials.
    """

    name: str
    folder: Path
    space: tuple[Dimension, ...]
    trials: tuple[Trial, ...]
    best: Trial | None
    recipe: Recipe | None
    base: int | None
    importances: dict[str, float]
    study: Study = field(repr=False, compare=False)

    @property
    def done(self) -> int:
        """How many trials were not interrupted."""
        return sum(trial.state in ("finished", "pruned", "failed") for trial in self.trials)


def best_trial(trials: Iterable[Trial]) -> Trial | None:
    """Return the finished trial with the lowest log loss, the earliest of equal ones."""
    finished = [trial for trial in trials if trial.score]
    return min(finished, key=lambda trial: (trial.log_loss, trial.number), default=None)


def read_result(
    study: Study, folder: Path, recipe: Recipe, space: tuple[Dimension, ...]
) -> SearchResult:
    """Read the trials of ``study``, which varies ``space`` in ``recipe``."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    all_trials = study.get_trials(deepcopy=False)
    # Trials without values have not started yet, or their process stopped before they started.
    trials = [trial for trial in map(to_trial, all_trials) if trial.values]
    best = best_trial(trials)
    own = current_values(recipe, space)
    originals = [trial.number + 1 for trial in all_trials if trial.params == own]
    losses = [trial.log_loss for trial in trials if trial.score]
    importances = {}
    if len(losses) >= MIN_TRIALS_FOR_IMPORTANCE and len(set(losses)) > 1:
        importances = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return SearchResult(
        study.study_name,
        folder,
        space,
        tuple(trials),
        best,
        with_values(recipe, best.values) if best else None,
        max(originals, default=None),
        {name: float(share) for name, share in importances.items()},
        study,
    )


def check_recipe_path(path: Path, folder: Path, *, force: bool) -> None:
    """Check that the best recipe of the study in ``folder`` may be written to ``path``.

    UsageError: it is a folder or has a reserved name, or another file is there without ``force``;
    that of an earlier search of this study is replaced.
    """
    own = folder / RECIPE
    if not (path.is_file() and own.is_file() and path.read_bytes() == own.read_bytes()):
        check_output(path, force=force)


def write_recipe(result: SearchResult, path: Path | None = None) -> Path:
    """Write the recipe of the best trial into the study's folder, and to ``path`` if given.

    Another file at ``path`` is renamed first, unless an earlier search of this study wrote it.
    Returns ``path``, or the file in the study's folder. Raises RunError if no trial has finished,
    StorageError if a folder cannot be written.
    """
    best = result.best
    if result.recipe is None or best is None or best.score is None:
        none = f"no trial of study {result.name}"
        if reasons := [trial.reason for trial in result.trials if trial.reason]:
            raise RunError(f"{none} finished; the last one failed: {reasons[-1]}")
        raise RunError(f"{none} has finished yet; run the command again to continue")
    low, high = best.score.ci95
    note = (
        f"Trial {best.number} of study {result.name}: calibrated log loss {best.log_loss:.4f}, "
        f"accuracy {100 * best.score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f}) on "
        f"{best.score.n} out-of-fold rows. {selection_bias_note(result)}"
    )
    own = result.folder / RECIPE
    earlier = own.read_bytes() if own.is_file() else None
    write_recipe_file(own, result.recipe, note)
    if path is None:
        return own
    if path.is_file() and path.read_bytes() not in (earlier, own.read_bytes()):
        backup_existing(path)
    write_recipe_file(path, result.recipe, note)
    return path


def selection_bias_note(result: SearchResult) -> str:
    """Return why the score of the best trial is optimistic, and how to get an unbiased one."""
    if result.done == 1:
        return "There was only one trial, so nothing was chosen on its score."
    return (
        f"This is the best of {result.done} trials on the same rows, so its score is optimistic: "
        "train the recipe with another `seed` for an unbiased one."
    )


def save_plots(result: SearchResult) -> list[Path]:
    """Save plots of importances, if known, and of values against log loss; return their paths.

    There are none if fewer than two trials have finished.
    """
    if sum(trial.score is not None for trial in result.trials) < 2:
        return []
    from kaggle_digits.plots import style

    settings = list(result.importances) or [dimension.name for dimension in result.space]
    axes: dict[str, Any] = {}
    # Optuna changes matplotlib's style globally.
    with style.rc_context({"figure.constrained_layout.use": True}), warnings.catch_warnings():
        from matplotlib import pyplot as plt
        from optuna.exceptions import ExperimentalWarning
        from optuna.importance import FanovaImportanceEvaluator
        from optuna.visualization import matplotlib as plots

        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Attempting to set identical", UserWarning)  # 2 trials
        if result.importances:
            axes[IMPORTANCE_PLOT] = plots.plot_param_importances(
                result.study, FanovaImportanceEvaluator(seed=0), target_name=LOSS
            )
        axes[SLICE_PLOT] = plots.plot_slice(result.study, settings, target_name=LOSS)
        for name, each in axes.items():
            figure = np.atleast_1d(each)[0].figure
            style.save(figure, result.folder / name)
            plt.close(figure)
    return [result.folder / name for name in axes]
