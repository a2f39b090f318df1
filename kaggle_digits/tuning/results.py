"""What a search leaves: the best settings as a recipe file, and a picture of what mattered."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kaggle_digits.core.atomic_io import backup_existing
from kaggle_digits.core.errors import RunError
from kaggle_digits.training.recipe import Recipe, write_recipe_file
from kaggle_digits.tuning.search import Search, log_loss
from kaggle_digits.tuning.search_space import Dimension, present

RECIPE, PICTURE = "best.json", "importance.png"


def write_recipe(search: Search, path: Path | None = None) -> Path:
    """Write the best trial's recipe into the study's folder, and to ``path`` if one is given.

    What stands at ``path`` and is not this study's own is put aside.

    Returns:
        ``path``, or the file in the study's folder.

    Raises:
        RunError: no trial finished.
        StorageError: a folder cannot be written.
    """
    if search.recipe is None:
        raise RunError(_nothing(search))
    own = search.folder / RECIPE
    before = own.read_bytes() if own.is_file() else None
    write_recipe_file(own, search.recipe, note(search))
    if path is None:
        return own
    if path.is_file() and path.read_bytes() not in (before, own.read_bytes()):
        backup_existing(path)
    write_recipe_file(path, search.recipe, note(search))
    return path


def note(search: Search) -> str:
    """Where the recipe comes from, and how far to trust its figures."""
    best = search.best
    assert best is not None
    assert best.score is not None
    low, high = best.score.ci95
    return (
        f"Trial {best.number} of study {search.name}: "
        f"calibrated log loss {best.score.log_loss:.4f}, "
        f"{100 * best.score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f}) right on "
        f"{best.score.n} out-of-fold rows. {too_good(search)}"
    )


def too_good(search: Search) -> str:
    """Why the best trial's figures must not be believed, and what to do."""
    return (
        f"Chosen as the best of {search.done} trials on these very rows, so its figures are too "
        "good: train it with another --seed for an honest one."
    )


def draw_importance(search: Search, recipe: Recipe) -> Path | None:
    """Save the picture into the study's folder; None where fewer than two trials finished.

    Args:
        search: what was found.
        recipe: where the search began.
    """
    from kaggle_digits.plots import style
    from kaggle_digits.plots.tuning import Axis, search_picture

    finished = [trial for trial in search.trials if trial.score is not None]
    if len(finished) < 2 or search.best is None:
        return None
    order = sorted(search.space, key=lambda dimension: -search.importances.get(dimension.name, 0))
    axes = [
        Axis(
            dimension.name,
            search.importances.get(dimension.name, math.nan),
            dimension.log,
            dimension.low,
            dimension.high,
            dimension.choices or None,
            present(recipe, dimension.name),
        )
        for dimension in order
    ]
    given_up = [t for t in search.trials if t.state in ("pruned", "failed")]
    figure = search_picture(
        axes,
        [_row(order, trial.values) for trial in finished],
        np.array([log_loss(trial) for trial in finished]),
        [_row(order, trial.values) for trial in given_up],
        search.name,
    )
    path = search.folder / PICTURE
    style.save(figure, path)
    return path


def _row(order: list[Dimension], values: dict[str, float | int | str]) -> list[float | int | str]:
    return [values[dimension.name] for dimension in order]


def _nothing(search: Search) -> str:
    reasons = [trial.reason for trial in search.trials if trial.reason]
    if reasons:
        return f"no trial of study {search.name} finished; the last one failed: {reasons[-1]}"
    return f"no trial of study {search.name} finished yet; repeat the command to go on"
