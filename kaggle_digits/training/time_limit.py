"""Fit a training into a time limit: fewer epochs first, then fewer members.

A few steps are timed on this machine, and the recipe is shortened before the run starts: its
learning-rate schedule still comes to its end, config.json has the settings that are trained, and
resuming needs no limit. If the machine becomes slower later, ``fit_fold`` skips epochs. A recipe
that fills the time is repeated instead, with other folds and seeds, as often as the limit allows.
"""

import math
import operator
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kaggle_digits.core.environment import gpus
from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Images
from kaggle_digits.data.splits import FoldIndices, Split, split
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import Classifier
from kaggle_digits.models.formats import to_litert
from kaggle_digits.models.registry import SKLEARN_MODELS
from kaggle_digits.models.tta import KeptCopies, predict_tta
from kaggle_digits.training.executor import Cost, Executor
from kaggle_digits.training.fold import FoldTask, Trainer, make_trainer
from kaggle_digits.training.recipe import AnyRecipe, EnsembleRecipe, Recipe
from kaggle_digits.training.recipes import RECIPES, benchmark_results

PLANNED_SHARE = 0.85  # of the time left; later steps may take longer than the first ones
MEASURED_SECONDS, MEASURED_IMAGES, MEASURED_PART = 3.0, 500, 10
# Members are left out before the epochs fall below this share of the recipe's.
MIN_EPOCHS_SHARE, FEWER_FOLDS = 0.5, (5, 3)
# Recipes to choose from; each is slower and more accurate than the next (docs/models.md).
CHOICES = ("best", "strong", "cnn", "fast")
# Seconds for a recipe that fills the time, if the user sets no limit.
DEFAULT_SECONDS, DEFAULT_GPU_SECONDS = 3600.0, 60.0
MAX_REPEATS = 50  # a thousand networks of two architectures in ten folds


@dataclass(frozen=True)
class TimeLimit:
    """At most ``seconds`` from ``began``, a time.time(); ``reason``: why the recipe was chosen.

    With ``after_start`` the seconds begin when the speed has been measured. On a GPU that takes as
    long as many trainings, because it includes the compilation.
    """

    seconds: float
    began: float = field(default_factory=time.time)
    reason: str = ""
    after_start: bool = False

    @property
    def left(self) -> float:
        """Seconds until the limit."""
        return self.began + self.seconds - time.time()


def default_limit(recipe: AnyRecipe) -> TimeLimit | None:
    """Return the limit of a recipe that fills the time: an hour, or a minute on a GPU."""
    if not recipe.fills_time:
        return None
    on_gpu = bool(gpus())
    return TimeLimit(DEFAULT_GPU_SECONDS if on_gpu else DEFAULT_SECONDS, after_start=on_gpu)


def shorten(
    limit: TimeLimit,
    dataset: Dataset,
    recipe: AnyRecipe,
    split_config: Split,
    executor: Executor | None = None,
) -> tuple[AnyRecipe, Split, dict[str, Any]]:
    """Return the recipe and split that can be trained in time, and what config.json records.

    UsageError is raised if not even one epoch of one model fits.
    """
    executor, costs = executor or Executor(), dict[str, Cost]()
    for chosen, chosen_split in _candidates(recipe, split_config, executor):
        folds = split(dataset.labels, chosen_split)
        for one in chosen.recipes:
            if one.model not in costs:
                together = executor.measure(one, folds, dataset)
                costs[one.model] = together or measure(one, folds[0], dataset)
        left = PLANNED_SHARE * (limit.seconds if limit.after_start else limit.left)
        used = [costs[one.model] for one in chosen.recipes]
        fixed = len(folds) * sum(cost.start + cost.end for cost in used)
        trained = [len(folds) * costs[one.model].epoch * one.epochs for one in chosen.recipes]
        share = (left - fixed) / sum(trained)
        if share >= MIN_EPOCHS_SHARE:
            break
    repeats = min(MAX_REPEATS, int(left / (fixed + sum(trained))))
    if recipe.fills_time and split_config.repeats == 1 and repeats > 1:
        chosen_split = replace(chosen_split, repeats=repeats)
        fixed, trained = repeats * fixed, [repeats * seconds for seconds in trained]
    epochs = [min(one.epochs, math.floor(one.epochs * share + 1e-9)) for one in chosen.recipes]
    if min(epochs) < 1:
        need = (fixed + sum(trained) / min(one.epochs for one in chosen.recipes)) / PLANNED_SHARE
        raise UsageError(
            f"{limit.seconds:.0f} s are not enough: starting, one epoch of {chosen.model} and its "
            f"predictions need about {limit.seconds - limit.left + need:.0f} s here; allow more "
            "time or choose a faster recipe: kd recipes"
        )
    members = len(split(dataset.labels, chosen_split)) * len(epochs)
    asked = len(split(dataset.labels, split_config)) * len(recipe.recipes)
    pairs = list(zip(chosen.recipes, epochs, strict=True))
    shares = [n / one.epochs for one, n in pairs]
    expected = fixed + sum(map(operator.mul, trained, shares))
    record = {
        "seconds": limit.seconds,
        "reason": limit.reason,
        "summary": f"{chosen.model}: {epochs[0]} of {recipe.recipes[0].epochs} epochs, {members} "
        f"of {max(asked, members)} members, about {expected:.0f} s ({used[0].epoch:.2g} s per "
        "epoch here)",
        "measured": {model: asdict(cost) for model, cost in costs.items()},
    }
    shortened = tuple(replace(one, epochs=n) for one, n in pairs)
    if isinstance(chosen, EnsembleRecipe):
        return replace(chosen, recipes=shortened, fills_time=False), chosen_split, record
    return shortened[0], chosen_split, record


def _candidates(
    recipe: AnyRecipe, split_config: Split, executor: Executor
) -> Iterator[tuple[AnyRecipe, Split]]:
    """Yield the recipe and split as asked for, then with fewer and fewer members.

    Networks that are trained at once keep their number of folds: other numbers of networks or rows
    would be compiled anew, which takes longer than their training.
    """
    yield recipe, split_config
    fewer = replace(split_config, repeats=1)
    yield recipe, fewer
    if executor.trains_at_once:
        yield recipe.recipes[0], fewer
        return
    for folds in FEWER_FOLDS:
        if fewer.kind == "folds" and folds < fewer.folds:
            fewer = replace(fewer, folds=folds)
            yield recipe, fewer
    yield recipe.recipes[0], fewer
    if fewer.kind == "folds":
        yield recipe.recipes[0], Split(seed=fewer.seed, rows=fewer.rows)


def choose_recipe(
    limit: TimeLimit, dataset: Dataset, split_of: Callable[[AnyRecipe], Split]
) -> tuple[str, TimeLimit]:
    """Return the name of the best recipe for the time on this machine, and the limit with reasons.

    The fastest recipe is timed; the times of the others are those of docs/models.md in proportion,
    and a model whose epochs take n times as long also takes n times as long for each prediction.
    ``split_of`` returns the split that a recipe would be trained with.
    """
    (fast,), documented = RECIPES[CHOICES[-1]].recipes, benchmark_results()
    cost = measure(fast, split(dataset.labels, split_of(fast))[0], dataset)
    fast_epoch = documented[CHOICES[-1]]["seconds"] / fast.epochs
    needed = []
    for name in CHOICES:
        recipe = RECIPES[name]
        folds = len(split(dataset.labels, split_of(recipe)))
        epochs = sum(one.epochs for one in recipe.recipes)
        slower = documented[name]["seconds"] / getattr(recipe, "folds", 1) / epochs / fast_epoch
        seconds = folds * epochs * slower * cost.epoch
        views = sum(one.views for one in recipe.recipes)
        fixed = folds * (len(recipe.recipes) * cost.start + views * slower * cost.end)
        needed.append(f"{name} needs about {fixed + seconds:.0f} s")
        if fixed + MIN_EPOCHS_SHARE * seconds <= PLANNED_SHARE * limit.left:
            break
    reason = (
        f"chose {name}: {', '.join(needed)}, at {cost.epoch / fast_epoch:.2g} times the seconds in "
        f"kd recipes (measured with {CHOICES[-1]})"
    )
    return name, replace(limit, reason=reason)


def set_deadlines(
    tasks: Sequence[FoldTask], limit: TimeLimit, costs: Mapping[str, Any], workers: int
) -> list[FoldTask]:
    """Give each task the time at which its last epoch should end, so that all end in time.

    ``workers`` of them are trained at the same time. ``costs`` are the record's.
    """
    now, left, rounds = time.time(), limit.left, math.ceil(len(tasks) / workers)
    ends = [now + left * (1 + number // workers) / rounds for number in range(len(tasks))]
    return [
        replace(task, deadline=end - workers * costs[task.recipe.model]["end"])
        for task, end in zip(tasks, ends, strict=True)
    ]


def measure(recipe: Recipe, fold: FoldIndices, dataset: Dataset) -> Cost:
    """Time the first steps and predictions of a model of ``recipe`` on this machine."""
    if recipe.model not in SKLEARN_MODELS:
        keras()  # its import happens once, not for each member
    images, labels = dataset.train.images[fold.train], dataset.labels[fold.train]
    clock = Clock()
    trainer = make_trainer(recipe, images, labels, seed=0)
    start, part = clock.lap(), 1
    if trainer.epochs == trainer.steps == 1:  # fitted in one call: on a part of the rows
        part = MEASURED_PART
        trainer = make_trainer(recipe, images[::part], labels[::part], seed=0)
    first, epoch = _time_epoch(trainer)
    classifier, sample = trainer.classifier, dataset.test.images[:MEASURED_IMAGES]
    clock.lap()
    predict_tta(classifier, sample[:1], recipe.views, recipe.affine_range)  # traces the network
    start += first + clock.lap()
    validation, end = time_predictions(classifier, sample, recipe, fold, dataset)
    return Cost(start, part * epoch + validation, end)


def time_predictions(
    classifier: Classifier,
    sample: Images | KeptCopies,
    recipe: Recipe,
    fold: FoldIndices,
    dataset: Dataset,
) -> tuple[float, float]:
    """Return the seconds of a validation and of all after the training, from those of ``sample``.

    ``sample`` are images (n, 28, 28), or their kept copies, which the classifier has predicted
    before, because the first time it is traced or compiled.
    """
    clock = Clock()
    predict_tta(classifier, sample, recipe.views, recipe.affine_range)
    per_image = clock.lap() / len(sample)
    with TemporaryDirectory() as folder:
        classifier.save(Path(folder))
    to_litert(classifier, dataset.train.images)
    n_val = len(fold.val)
    end = clock.lap() + per_image * (n_val + len(dataset.test))
    return per_image / recipe.views * n_val, end


class Clock:
    """Measures one part after another."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last call."""
        before, self._last = self._last, time.perf_counter()
        return self._last - before


class _EnoughMeasuredError(Exception):
    """Ends an epoch of which enough steps are timed."""


def _time_epoch(trainer: Trainer) -> tuple[float, float]:
    """Return the seconds that the first step takes longer than others, and those of an epoch."""
    marks: list[tuple[float, int]] = []

    def on_step(step: int, loss: float, accuracy: float) -> None:
        marks.append((time.perf_counter(), step))
        if marks[-1][0] - marks[0][0] >= MEASURED_SECONDS:
            raise _EnoughMeasuredError

    began = time.perf_counter()
    try:
        trainer.train_epoch(0, on_step)
    except _EnoughMeasuredError:
        (first, done), (last, steps) = marks[0], marks[-1]
        step = (last - first) / (steps - done)
        return max(0.0, first - began - done * step), step * trainer.steps
    clock, both = Clock(), time.perf_counter() - began
    trainer.train_epoch(1, lambda *_: None)
    epoch = clock.lap()
    return max(0.0, both - epoch), epoch
