"""kd tune."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir, Svg
from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.training.recipe import Recipe
    from kaggle_digits.tuning.objective import Trial
    from kaggle_digits.tuning.search import Search

WHAT, HOW, WHERE = "What to vary", "How to measure a trial", "Folders and names"
STATES = ("finished", "running", "pruned", "failed", "stopped")
MOST_LINES = 15


def _set(panel: str, help_text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **more)


def tune(
    *,
    recipe: Annotated[
        str | None, _set(WHAT, "Where to begin: a name of kd recipes, or a file.", "--recipe")
    ] = None,
    model: Annotated[str | None, _set(WHAT, "A model; begins at its recipe.", "--model")] = None,
    vary: Annotated[
        list[str] | None,
        _set(
            WHAT,
            "A setting: dropout, learning_rate=0.001:0.03:log, optimizer=adamw,muon. "
            "Once for each; without it, those that usually matter.",
            "--vary",
        ),
    ] = None,
    trials: Annotated[int, _set(HOW, "How many in all.", "--trials")] = 30,
    minutes: Annotated[
        float | None, _set(HOW, "Begin no trial after M minutes.", "--minutes", min=0)
    ] = None,
    folds: Annotated[int, _set(HOW, "Parts, each held out in turn.", "--folds")] = 3,
    rows: Annotated[
        int | None, _set(HOW, "Use only N labelled rows: cheaper trials.", "--rows")
    ] = None,
    epochs: Annotated[int | None, _set(HOW, "Passes over the rows.", "--epochs")] = None,
    seed: Annotated[int, _set(HOW, "Of split, weights and search.", "--seed")] = 0,
    name: Annotated[
        str | None, _set(WHERE, "Of the study; the model's by default.", "--name")
    ] = None,
    storage: Annotated[
        str | None,
        _set(
            WHERE,
            "URL of a database, for many machines: postgresql+psycopg://USER:PASSWORD@HOST/NAME. "
            "An SQLite file by default.",
            "--storage",
            envvar="KD_TUNE_STORAGE",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        _set(
            WHERE, "Recipe file to write; runs/tuning/STUDY/best.json by default.", "--output", "-o"
        ),
    ] = None,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Search better settings for a recipe; the same command again goes on."""
    from kaggle_digits.cli.trials import TrialsProgress
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.splits import Split
    from kaggle_digits.tuning.search import found_so_far, search
    from kaggle_digits.tuning.search_space import find_space
    from kaggle_digits.tuning.storage import optuna_package

    optuna_package()  # says what to install before anything is read
    base = _one_recipe(recipe, model).with_changes(epochs=epochs)
    space = find_space(base, vary or ())
    how = Split("folds", folds=folds, seed=seed, rows=rows)
    if output is not None and output.is_dir():
        raise UsageError(f"-o {output} is a folder; name a file, as {output / 'best.json'}")
    dataset = load(data_dir)
    place: dict[str, Any] = {"runs_dir": runs_dir, "name": name, "storage": storage}
    with TrialsProgress() as progress:
        try:
            with interrupts.handle_sigint(immediate=False):
                found = search(
                    dataset,
                    base,
                    space,
                    how,
                    trials=trials,
                    minutes=minutes,
                    callback=progress,
                    **place,
                )
        except KeyboardInterrupt:
            progress.stop()
            if progress.begun:
                found = found_so_far(base, space, **place)
                console.note(
                    f"{found.done} of {trials} trials are kept; the same command again goes on"
                )
                if found.best:
                    _leave(found, base, output, seed + 1, svg=svg, as_json=as_json)
            raise
    _leave(found, base, output, seed + 1, svg=svg, as_json=as_json)


def _one_recipe(recipe: str | None, model: str | None) -> Recipe:
    from kaggle_digits.training.recipe import EnsembleRecipe
    from kaggle_digits.training.recipes import find_recipe

    if recipe is None and model is None:
        raise UsageError("which recipe? kd tune --recipe NAME; kd recipes lists them")
    chosen = find_recipe(recipe, model)
    if isinstance(chosen, EnsembleRecipe):
        models = ", ".join(design.model for design in chosen.recipes)
        raise UsageError(
            f"recipe {chosen.name} is a committee; tune one of its designs: --model {models}"
        )
    return chosen


def _leave(
    found: Search, base: Recipe, output: Path | None, seed: int, *, svg: bool, as_json: bool
) -> None:
    """Write the recipe and the picture; say what was found."""
    from kaggle_digits.plots import style
    from kaggle_digits.tuning.results import draw_importance, too_good, write_recipe

    written = write_recipe(found, output)
    with style.svg_copies(svg):
        picture = draw_importance(found, base)
    best = found.best
    assert best is not None
    assert best.score is not None
    if as_json:
        console.print_json(_as_json(found, written, picture))
        return
    _table(found)
    low = best.score
    console.echo(
        f"best: trial {best.number}, calibrated log loss {low.log_loss:.4f}, "
        f"{console.percent(low.accuracy, low.ci95)} right on {low.n:,} out-of-fold rows "
        f"(95 % interval){_beside_base(found)}"
    )
    if found.importances:
        shares = [f"{name} {100 * share:.0f} %" for name, share in found.importances.items()]
        console.echo(f"what mattered: {', '.join(shares)}")
    console.echo(f"recipe:  {written}")
    if picture:
        console.echo(f"picture: {picture}")
    console.note(too_good(found))
    console.note(f"next: kd train --recipe {shlex.quote(str(written))} --seed {seed}")


def _beside_base(found: Search) -> str:
    """How the recipe did as it was, where that was tried and another did better."""
    base = next((trial for trial in found.trials if trial.number == found.base), None)
    if base is None or base.score is None or found.best is None:
        return ""
    if found.best.number == base.number:
        return "; that is the recipe as it was"
    return (
        f"; the recipe as it was: {base.score.log_loss:.4f}, {console.percent(base.score.accuracy)}"
    )


def _in_order(found: Search) -> list[Trial]:
    """Best first, then the others by what became of them."""
    from kaggle_digits.tuning.search import log_loss

    return sorted(
        found.trials,
        key=lambda trial: (STATES.index(trial.state), log_loss(trial), trial.number),
    )


def _table(found: Search) -> None:
    from rich.table import Table

    table = Table()
    names = [dimension.name for dimension in found.space]
    for column in (
        "trial",
        "state",
        "calibrated log loss",
        "accuracy (95 % interval)",
        "seconds",
        *names,
    ):
        table.add_column(column, overflow="fold")
    trials = _in_order(found)
    for trial in trials[:MOST_LINES]:
        score = trial.score
        table.add_row(
            f"{trial.number}{' (as it was)' * (trial.number == found.base)}",
            trial.state,
            f"{score.log_loss:.4f}" if score else "–",
            console.percent(score.accuracy, score.ci95) if score else "–",
            f"{trial.seconds:.1f}" if trial.seconds == trial.seconds else "–",
            *[console.safe(_value(trial.values.get(name, "–"))) for name in names],
        )
    console.print_table(table)
    if len(trials) > MOST_LINES:
        console.note(f"and {len(trials) - MOST_LINES} more: --json lists all")


def _value(value: float | int | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _as_json(found: Search, written: Path, picture: Path | None) -> dict[str, Any]:
    assert found.best is not None
    assert found.recipe is not None
    return {
        "study": found.name,
        "trials": [_trial_as_json(trial) for trial in _in_order(found)],
        "done": found.done,
        "best": _trial_as_json(found.best),
        "recipe_as_it_was": found.base,
        "recipe": found.recipe.to_json(),
        "recipe_file": str(written),
        "importances": found.importances,
        "picture": picture and str(picture),
    }


def _trial_as_json(trial: Trial) -> dict[str, Any]:
    score = trial.score
    return {
        "trial": trial.number,
        "state": trial.state,
        "calibrated_log_loss": score.log_loss if score else None,
        "accuracy": score.accuracy if score else None,
        "accuracy_ci95": list(score.ci95) if score else None,
        "n": score.n if score else None,
        "seconds": round(trial.seconds, 3) if trial.seconds == trial.seconds else None,
        "values": trial.values,
        "reason": trial.reason or None,
    }
