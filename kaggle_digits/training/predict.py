"""A finished run's models → probabilities of test.csv, or of the rows held out, again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.data.splits import FoldIndices, Split, fingerprint, split
from kaggle_digits.ensembling.combiners import weighted_mean
from kaggle_digits.models.base import ProbabilisticModel, load_classifier
from kaggle_digits.models.tta import check_tta, predict_tta, predict_tta_levels
from kaggle_digits.runs.run import Run
from kaggle_digits.training.recipe import Recipe, read_recipe

# Goes through folders as they are, or shows how far it is.
Each = Callable[[Sequence[Path]], Iterable[Path]]


def recipe_tta(run: Run) -> list[int]:
    """How many views of each image every design of ``run`` was predicted from, in order."""
    return [design.views for design in _designs(run)]


def predict_test(
    run: Run, dataset: Dataset, views: int | None = None, *, each: Each = iter
) -> NDArray[np.float32]:
    """(n_test, 10) float32: test.csv predicted by every member of ``run``, averaged.

    Args:
        run: a finished run.
        dataset: the data it was trained on.
        views: of each image, as in kaggle_digits.models.tta; None for those of the recipe, which
            gives what stands in test.npy.
        each: goes through the members' folders, perhaps showing how far it is.

    Raises:
        RunError: the run was trained on other data.
        ModelError: a member's model cannot be read.
        UsageError: no such number of views.
    """
    run.check_data(dataset)
    members = map(load_classifier, each(run.member_folders()))
    return predict_images(run, members, dataset.test.images, views)


def predict_images(
    run: Run,
    members: Iterable[ProbabilisticModel],
    images: NDArray[np.uint8],
    views: int | None = None,
) -> NDArray[np.float32]:
    """(n, 10) float32: images read by every member of ``run``, averaged.

    Args:
        run: a finished run.
        members: its models, in order; each is asked once and may be loaded as it is asked for.
        images: (n, 28, 28) uint8.
        views: as in predict_test.

    Raises:
        UsageError: no such number of views.
    """
    designs = _designs(run)
    parts = int(run.config()["members"]) // len(designs)
    totals = np.zeros((len(designs), len(images), CLASSES), np.float64)
    for member, classifier in enumerate(members):
        number = member // parts
        design = designs[number]
        wanted = design.views if views is None else views
        totals[number] += predict_tta(classifier, images, wanted, design.affine_range)
    return _as_one(run, totals / parts)


def predict_oof(
    run: Run, dataset: Dataset, views: int, *, each: Each = iter
) -> dict[int, NDArray[np.float32]]:
    """Every member's held-out rows predicted by it from 1, 5, 9 views up to ``views``.

    Args:
        run: a finished run.
        dataset: the data it was trained on.
        views: the most views of each image, as in kaggle_digits.models.tta.
        each: as in predict_test.

    Returns:
        number of views → (n_train, 10) float32: the mean over the members that held the row out,
        NaN where none did. With the views of its recipe, what stands in oof.npy; a committee's
        temperatures and weights are those learnt on all these rows.

    Raises:
        UsageError: no such number of views.
        RunError: the run was trained on other data, or its split cannot be made again.
        ModelError: a member's model cannot be read.
    """
    check_tta(views)
    run.check_data(dataset)
    parts = _parts(run, dataset)
    designs = _designs(run)
    shape = (len(designs), len(dataset.train), CLASSES)
    totals: dict[int, NDArray[np.float64]] = {}
    times = np.zeros(len(dataset.train), np.int64)
    for member, folder in enumerate(each(run.member_folders())):
        design, part = divmod(member, len(parts))
        rows = parts[part].val
        times[rows] += design == 0
        images = dataset.train.images[rows]
        by_views = predict_tta_levels(
            load_classifier(folder), images, views, designs[design].affine_range
        )
        for number, found in by_views.items():
            totals.setdefault(number, np.zeros(shape, np.float64))[design, rows] += found
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that says: never held out
        return {number: _as_one(run, total / times[:, None]) for number, total in totals.items()}


def _designs(run: Run) -> tuple[Recipe, ...]:
    return read_recipe(run.config().get("recipe")).recipes


def _as_one(run: Run, answers: NDArray[np.float64]) -> NDArray[np.float32]:
    """(designs, n, 10) → (n, 10): several designs by the temperatures and weights kept."""
    designs = run.metrics().get("designs")
    if not designs:
        return np.asarray(answers[0], np.float32)
    weights = [design["weight"] for design in designs]
    temperatures = [design["temperature"] for design in designs]
    return weighted_mean(answers, weights, temperatures)


def _parts(run: Run, dataset: Dataset) -> list[FoldIndices]:
    """The parts that the run was trained by, made again from what config.json says."""
    config = run.config()
    try:
        parts = split(dataset.labels, Split(**config["split"]))
    except (KeyError, TypeError) as error:
        raise RunError(
            f"the split in {run.path / 'config.json'} cannot be read ({error}); "
            f"leave out --tta: kd evaluate {run.name}"
        ) from error
    # Rows that a member was trained on would flatter it.
    if config.get("split_fingerprint") != fingerprint(parts):
        raise RunError(
            f"the rows that run {run.name} held out cannot be found again (another version of "
            f"scikit-learn splits otherwise); leave out --tta, or train it again"
        )
    return parts
