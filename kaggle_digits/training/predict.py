"""Predict test.csv, or the validation rows, with the models of a finished run."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES, Images
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.ensembling import combiners
from kaggle_digits.ensembling.ensemble import combine
from kaggle_digits.ensembling.ensemble_run import read_stack
from kaggle_digits.metrics.scores import score
from kaggle_digits.models.base import ProbabilisticModel, load_classifier
from kaggle_digits.models.tta import check_tta, predict_tta
from kaggle_digits.runs.run import METRICS_FILE, Run
from kaggle_digits.runs.submission_files import another_file, require_absent, write_run_submission
from kaggle_digits.training.recipe import run_recipe

# Iterates over the members' folders, possibly showing progress.
Each = Callable[[Sequence[Path]], Iterable[Path]]


def predict_test(
    run: Run, dataset: Dataset, tta: int | None = None, *, each: Each = iter
) -> Probabilities:
    """Predict test.csv with every member of a finished run and return (n_test, 10) float32.

    ``tta`` is the level of test-time augmentation, see kaggle_digits.models.tta; None for the
    recipe's, which reproduces test.npy. Raises RunError if the run was trained on other data,
    ModelError if a model cannot be read, UsageError if there is no such level.
    """
    run.check_data(dataset)
    members = map(load_classifier, each(run.member_folders()))
    probabilities = predict_images(run, members, dataset.test.images, tta)
    next(members, None)  # `each` ends, and its display with it
    return probabilities


def predict_images(
    run: Run, members: Iterable[ProbabilisticModel], images: Images, tta: int | None = None
) -> Probabilities:
    """Predict (n, 28, 28) uint8 images with the models of ``run`` and return (n, 10) float32.

    ``members`` are its models in order, which may be loaded lazily; ``tta`` as in ``predict_test``.
    """
    members = iter(members)
    if base_runs := run.base_runs():
        return _combine(run, [predict_images(one, members, images, tta) for one in base_runs])
    recipes = run_recipe(run).recipes
    n_members = int(run.config()["members"])
    n_folds = n_members // len(recipes)
    totals = np.zeros((len(recipes), len(images), CLASSES), np.float64)
    for member, classifier in enumerate(islice(members, n_members)):
        number = member // n_folds
        recipe = recipes[number]
        level = recipe.views if tta is None else tta
        totals[number] += predict_tta(classifier, images, level, recipe.affine_range)[level]
    return _combine(run, totals / n_folds)


def predict_oof(
    run: Run, dataset: Dataset, tta: int, *, each: Each = iter
) -> dict[int, Probabilities]:
    """Predict every member's validation rows at all levels of test-time augmentation up to ``tta``.

    Return level → (n_train, 10) float32: the mean over the members that held the row out, NaN if
    none did. At the recipe's level these are the values of oof.npy, except that the temperatures
    and weights of an ensemble recipe were fitted on all these rows. Those of an ensemble of runs
    are cross-validated again. Raises as ``predict_test``, and RunError if the run's split cannot be
    reproduced.
    """
    check_tta(tta)
    run.check_data(dataset)
    if base_runs := run.base_runs():
        method, labels = run.config()["ensemble"]["method"], dataset.labels
        oofs = [predict_oof(one, dataset, tta, each=each) for one in base_runs]
        of_level = {level: [oof[level] for oof in oofs] for level in oofs[0]}
        return {level: combine(same, same, labels, method).oof for level, same in of_level.items()}
    try:
        folds = run.folds(dataset)
    except RunError as error:
        raise RunError(f"{error}, or leave out `tta`: `kd.evaluate({run.name!r})`") from error
    recipes = run_recipe(run).recipes
    shape = (len(recipes), len(dataset.train), CLASSES)
    totals: dict[int, NDArray[np.float64]] = {}
    counts = np.zeros(len(dataset.train), np.int64)
    for member, folder in enumerate(each(run.member_folders())):
        number, fold = divmod(member, len(folds))
        rows = folds[fold].val
        counts[rows] += number == 0
        images, affine_range = dataset.train.images[rows], recipes[number].affine_range
        levels = predict_tta(load_classifier(folder), images, tta, affine_range)
        for level, probabilities in levels.items():
            total = totals.setdefault(level, np.zeros(shape, np.float64))
            total[number, rows] += probabilities
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: the row was never held out
        return {level: _combine(run, total / counts[:, None]) for level, total in totals.items()}


def saved_views(run: Run) -> int:
    """Return the number of views that the predictions saved in ``run`` are averaged over."""
    recipes = [recipe for one in run.trained_runs() for recipe in run_recipe(one).recipes]
    return max(recipe.views for recipe in recipes)


def write_submission(
    run: Run,
    dataset: Dataset,
    path: Path,
    tta: int | None = None,
    *,
    force: bool = False,
    each: Each = iter,
) -> dict[str, Any]:
    """Write the submission of a finished run, predicted with ``tta`` views; None: as it was saved.

    An existing file is an obstacle, or renamed with ``force``, unless it is the run's own with the
    same content. Returns what the record beside it says: ``views``, and ``accuracy`` and ``n_val``
    of the validation rows predicted with as many views; None and 0 if that cannot be measured.
    Raises the errors of predict_test and of write_run_submission.
    """
    metrics, own_views = run.metrics(), saved_views(run)
    views = own_views if tta is None else tta
    check_tta(views)
    own, other_views = (run.name, None) if views == own_views else (None, views)
    require_absent(path, force=force, own=own, advice=another_file(path, run.name, other_views))
    test = run.test() if tta is None else predict_test(run, dataset, tta, each=each)
    record = {"views": views, "accuracy": metrics["val_accuracy"], "n_val": metrics["n_val"]}
    if views != own_views:
        result = None
        if metrics["n_val"] and not run.leak():
            with suppress(RunError):  # of a split that cannot be reproduced
                oof = predict_oof(run, dataset, views, each=each)[views]
                result = score(oof, dataset.labels)
        record |= {"accuracy": result and result.accuracy, "n_val": result.n if result else 0}
    write_run_submission(run, dataset, path, test=test, force=force, **record)
    return record


def _combine(
    run: Run, probabilities: Sequence[NDArray[np.floating]] | NDArray[np.float64]
) -> Probabilities:
    """Combine (n, 10) of each recipe, or of each run of an ensemble, as test.npy was combined."""
    stacked, metrics = np.asarray(probabilities), run.metrics()
    ensemble, designs = run.config().get("ensemble"), metrics.get("designs")
    if ensemble and ensemble["method"] == "stack":
        return combiners.stack(stacked, read_stack(run))
    if ensemble and ensemble["method"] == "vote":
        return combiners.vote(stacked)
    if not designs:
        return np.asarray(stacked[0], np.float32)
    weights = [design["weight"] for design in designs]
    if len(designs) != len(stacked) or not math.isclose(sum(weights), 1, rel_tol=1e-6):
        path = run.path / METRICS_FILE
        raise RunError(
            f"{path} is damaged (its weights do not fit the recipe); delete it and run: "
            f"{run.repair_command()}"
        )
    temperatures = [design["temperature"] for design in designs]
    return combiners.weighted_mean(stacked, weights, temperatures)
