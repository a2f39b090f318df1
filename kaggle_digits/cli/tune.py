"""``kd tune``: search for better settings of a recipe."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir, Svg, option
from kaggle_digits.cli.options import OUTPUT_PANEL as OUTPUT
from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.training.recipe import Recipe
    from kaggle_digits.tuning.results import SearchResult
    from kaggle_digits.tuning.trial import Trial

SPACE, MEASURING = "What to vary", "How to measure a trial"
STATES = ("finished", "running", "pruned", "failed", "stopped")
COLUMNS = ("trial", "state", "calibrated log loss", "accuracy (95 % interval)", "seconds")
MAX_ROWS = 15


def tune(
    *,
    recipe: Annotated[str | None, option("Recipe to vary: a name or file.", panel=SPACE)] = None,
    model: Annotated[str | None, option("Model whose recipe to start from.", panel=SPACE)] = None,
    vary: Annotated[
        list[str] | None,
        option(
            "Setting to vary: dropout, learning_rate=0.001:0.03:log or optimizer=adamw,muon. "
            "Repeat it for more settings. By default those that usually matter.",
            panel=SPACE,
        ),
    ] = None,
    trials: Annotated[int, option("Trials in all; default 30.", panel=MEASURING)] = 30,
    minutes: Annotated[
        float | None, option("Start no trial after M minutes.", panel=MEASURING, min=0)
    ] = None,
    folds: Annotated[int, option("K-fold cross-validation; default 3.", panel=MEASURING)] = 3,
    rows: Annotated[int | None, option("Use only N labelled rows.", panel=MEASURING)] = None,
    epochs: Annotated[int | None, option("Passes over the training rows.", panel=MEASURING)] = None,
    seed: Annotated[int, option("Seed of split, weights, search; default 0.", panel=MEASURING)] = 0,
    name: Annotated[
        str | None, option("Name of the study; default: the recipe's.", panel=OUTPUT)
    ] = None,
    storage: Annotated[
        str | None,
        option(
            "URL of a database for several machines: postgresql+psycopg://USER:PASSWORD@HOST/NAME. "
            "By default a file in the study's folder.",
            panel=OUTPUT,
            envvar="KD_TUNE_STORAGE",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option("Recipe file; default runs/tuning/STUDY/best.json.", "-o", "--output", panel=OUTPUT),
    ] = None,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Search for better settings of a recipe. Run the same command again to continue."""
    from kaggle_digits.cli.progress import SearchProgress
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.splits import Split
    from kaggle_digits.tuning.search import load_search, search
    from kaggle_digits.tuning.search_space import make_search_space

    base = _find_recipe(recipe, model).with_changes(epochs=epochs)
    space = make_search_space(base, vary or ())
    split = Split("folds", folds=folds, seed=seed, rows=rows)
    if output is not None and output.is_dir():
        raise UsageError(f"-o {output} is a folder; name a file, such as {output / 'best.json'}")
    dataset = load(data_dir)
    study: dict[str, Any] = {"runs_dir": runs_dir, "name": name, "storage": storage}
    with SearchProgress() as progress:
        try:
            with interrupts.handle_sigint(immediate=False):
                options = study | {"trials": trials, "minutes": minutes, "callback": progress}
                result = search(dataset, base, space, split, **options)
        except KeyboardInterrupt:
            progress.stop()
            if progress.started:
                result = load_search(base, space, **study)
                console.note(
                    f"{result.done} of {trials} trials are kept; "
                    "run the same command again to continue"
                )
                if result.best:
                    _report(result, output, seed + 1, svg=svg, as_json=as_json)
            raise
    _report(result, output, seed + 1, svg=svg, as_json=as_json)


def _find_recipe(recipe: str | None, model: str | None) -> Recipe:
    from kaggle_digits.training.recipe import EnsembleRecipe
    from kaggle_digits.training.recipes import find_recipe

    if recipe is None and model is None:
        raise UsageError("which recipe? kd tune --recipe NAME; kd recipes lists them")
    found = find_recipe(recipe, model)
    if isinstance(found, EnsembleRecipe):
        models = ", ".join(each.model for each in found.recipes)
        raise UsageError(
            f"recipe {found.name} is an ensemble; tune one of its models: --model {models}"
        )
    return found


def _report(
    result: SearchResult, output: Path | None, next_seed: int, *, svg: bool, as_json: bool
) -> None:
    """Write the recipe and the plots, and print the result."""
    from kaggle_digits.models.registry import is_user_code
    from kaggle_digits.plots import style
    from kaggle_digits.tuning.results import save_plots, selection_bias_note, write_recipe

    recipe_file = write_recipe(result, output)
    with style.svg_copies(svg):
        plots = save_plots(result)
    best, recipe = result.best, result.recipe
    assert best is not None
    assert best.score is not None
    assert recipe is not None
    # The best trial first and unfinished ones last.
    trials = sorted(result.trials, key=lambda t: (STATES.index(t.state), t.log_loss, t.number))
    if as_json:
        console.print_json(
            {
                "study": result.name,
                "trials": [_trial_to_json(trial) for trial in trials],
                "done": result.done,
                "best": _trial_to_json(best),
                "recipe_as_it_was": result.base,
                "recipe": recipe.to_json(),
                "recipe_file": str(recipe_file),
                "importances": result.importances,
                "picture": str(plots[0]) if plots else None,
            }
        )
        return
    _print_trials(result, trials)
    compared = ""
    for base in result.trials:
        if base.number == result.base == best.number:
            compared = "; this is the original recipe"
        elif base.number == result.base and base.score:
            accuracy = console.percent(base.score.accuracy)
            compared = f"; the original recipe: {base.log_loss:.4f}, {accuracy}"
    console.echo(
        f"best: trial {best.number}, calibrated log loss {best.log_loss:.4f}, "
        f"accuracy {console.percent(best.score.accuracy, best.score.ci95)} (95 % interval) on "
        f"{best.score.n:,} out-of-fold rows{compared}"
    )
    if result.importances:
        shares = [f"{name} {100 * share:.0f} %" for name, share in result.importances.items()]
        console.echo(f"importance: {', '.join(shares)}")
    console.echo(f"recipe: {recipe_file}")
    for plot in plots:
        console.echo(f"plot: {plot}")
    console.note(selection_bias_note(result))
    model = f" --model {recipe.model}" if is_user_code(recipe.model) else ""  # consent
    file = shlex.quote(str(recipe_file))
    console.note(f"next: kd train --recipe {file}{model} --seed {next_seed}")


def _print_trials(result: SearchResult, trials: list[Trial]) -> None:
    from rich.table import Table

    names = [dimension.name for dimension in result.space]
    table = Table()
    for title in (*COLUMNS, *names):
        table.add_column(title, overflow="fold")
    for trial in trials[:MAX_ROWS]:
        score = trial.score
        values = [trial.values.get(name, "–") for name in names]
        table.add_row(
            f"{trial.number}{' (original)' * (trial.number == result.base)}",
            trial.state,
            f"{score.log_loss:.4f}" if score else "–",
            console.percent(score.accuracy, score.ci95) if score else "–",
            "–" if math.isnan(trial.seconds) else f"{trial.seconds:.1f}",
            *[console.safe(v if isinstance(v, str) else f"{v:g}") for v in values],
        )
    console.print_table(table)
    if len(trials) > MAX_ROWS:
        console.note(f"and {len(trials) - MAX_ROWS} more: --json lists all")


def _trial_to_json(trial: Trial) -> dict[str, Any]:
    score = trial.score
    return {
        "trial": trial.number,
        "state": trial.state,
        "calibrated_log_loss": score.log_loss if score else None,
        "accuracy": score.accuracy if score else None,
        "accuracy_ci95": list(score.ci95) if score else None,
        "n": score.n if score else None,
        "seconds": None if math.isnan(trial.seconds) else round(trial.seconds, 3),
        "values": trial.values,
        "reason": trial.reason or None,
    }
