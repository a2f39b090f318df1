"""``kd tune``: search for better settings of a recipe."""

from __future__ import annotations

import math
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.tuning.results import SearchResult, Trial

STATES = ("finished", "running", "pruned", "failed", "stopped")
ACCURACY, LOG_LOSS = "accuracy\n(95 % interval)", "calibrated\nlog loss"
COLUMNS = {"trial": "", "state": "", LOG_LOSS: ".4f", ACCURACY: ">"}
MAX_ROWS = 15

_space = partial(option, panel="What to vary")
_measuring = partial(option, panel="How to measure a trial")
_output = partial(option, panel=options.OUTPUT_PANEL)


def tune(
    named: str | None = options.RECIPE,
    *,
    recipe: str | None = options.RECIPE_OPTION,
    model: str | None = options.MODEL_OPTION,
    vary: list[str] | None = _space(
        "Setting to vary: dropout, learning_rate=0.001:0.03:log or optimizer=adamw,muon. "
        "Repeat it for more settings. By default those that usually matter.",
        metavar="SETTING",
    ),
    trials: int = _measuring("Trials in all; default 30.", default=30),
    minutes: float | None = _measuring("Start no trial after X minutes.", min=0),
    folds: int = _measuring("K-fold cross-validation; default 3.", default=3),
    rows: int | None = _measuring("Use only N labelled rows."),
    extra: Path | None = _measuring(
        "Also train on its pictures; it has labels.csv.", metavar="FOLDER"
    ),
    epochs: int | None = _measuring("Passes over the training rows."),
    seed: int = _measuring("Seed of split, weights, search; default 0.", default=0),
    name: str | None = _output("Name of the study; default: the recipe's."),
    storage: str | None = _output(
        "URL of a database for several machines: postgresql+psycopg://USER:PASSWORD@HOST/NAME. "
        "By default a file in the study's folder.",
        envvar="KD_TUNE_STORAGE",
    ),
    output: Path | None = _output(
        "Recipe file; default runs/tuning/STUDY/best.json.", "-o", "--output"
    ),
    force: bool = options.FORCE,
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Search for better settings of a recipe. Run the same command again to continue."""
    from kaggle_digits.cli.progress import SearchProgress
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.splits import Split
    from kaggle_digits.runs.store import check_new_name
    from kaggle_digits.training.recipe import EnsembleRecipe
    from kaggle_digits.training.recipes import find_recipe
    from kaggle_digits.tuning.results import check_recipe_path
    from kaggle_digits.tuning.search import load_search, search, study_folder
    from kaggle_digits.tuning.search_space import make_search_space

    recipe, model = options.recipe_and_model(named, recipe, model)
    if recipe is None and model is None:
        raise UsageError("which recipe? kd tune NAME; kd recipes lists them")
    found = find_recipe(recipe, model)
    if isinstance(found, EnsembleRecipe):
        models = ", ".join(each.model for each in found.recipes)
        raise UsageError(
            f"recipe {found.name} is an ensemble; tune one of its models: --model {models}"
        )
    base = found.with_changes(epochs=epochs)
    space = make_search_space(base, vary or ())
    split = Split("folds", folds=folds, seed=seed, rows=rows)
    folder = study_folder(runs_dir, name, base)
    check_new_name(folder.parent, folder.name)
    if output is not None:
        check_recipe_path(output, folder, force=force)
    dataset = load(data_dir)
    study: dict[str, Any] = {"runs_dir": runs_dir, "name": name, "storage": storage}
    limits: dict[str, Any] = {"trials": trials, "minutes": minutes, "extra": extra}
    more = f" --extra {shlex.quote(str(extra))}" if extra is not None else ""
    report = partial(_report, output=output, seed=seed, more=more, as_json=as_json)
    with SearchProgress() as progress:
        try:
            with interrupts.handle_sigint(immediate=False):
                result = search(dataset, base, space, split, callback=progress, **study, **limits)
        except KeyboardInterrupt:
            progress.stop()
            if not progress.started:
                raise
            result = load_search(base, space, **study)
            if result.best:
                report(result)
            kept = f"{result.done} of {progress.trials} trials are kept"
            raise KeyboardInterrupt(f"{kept}; run the same command again to continue") from None
    report(result)


def _report(
    result: SearchResult, *, output: Path | None, seed: int, more: str, as_json: bool
) -> None:
    """Write the recipe and the plots, and print the result.

    ``seed`` is that of the search; ``more`` are options to train its recipe with.
    """
    from kaggle_digits.models.registry import is_user_code
    from kaggle_digits.tuning.results import save_plots, selection_bias_note, write_recipe

    recipe_file = write_recipe(result, output)
    plots = save_plots(result)
    best, recipe = result.best, result.recipe
    assert best is not None
    assert best.score is not None
    assert recipe is not None
    # The best trial first and unfinished ones last.
    trials = sorted(result.trials, key=lambda t: (STATES.index(t.state), t.log_loss, t.number))
    if as_json:
        document = {
            "study": result.name,
            "trials": [_trial_to_json(trial) for trial in trials],
            "done": result.done,
            "best": _trial_to_json(best),
            "recipe_as_it_was": result.base,
            "recipe": recipe.to_json(),
            "recipe_file": recipe_file,
            "importances": result.importances,
            "picture": plots[0] if plots else None,
        }
        console.print_json(document)
        return
    _print_trials(result, trials)
    compared = "" if result.base else "; --vary leaves out the original recipe"
    for base in result.trials:
        if base.number == result.base == best.number:
            compared = "; this is the original recipe"
        elif base.number == result.base and base.score:
            accuracy = console.percent(base.score.accuracy)
            compared = f"; the original recipe: {base.log_loss:.4f}, {accuracy}"
    console.echo(
        f"best: trial {best.number}, calibrated log loss {best.log_loss:.4f}, "
        f"accuracy {console.percent(best.score.accuracy, best.score.ci95)} (95 % interval) on "
        f"{best.score.n:,} out-of-fold rows, seed {seed}, {console.seconds(best.seconds)}"
        f"{compared}"
    )
    if result.importances:
        shares = [f"{name} {100 * share:.0f} %" for name, share in result.importances.items()]
        console.echo(f"importance: {', '.join(shares)}")
    console.echo(f"recipe: {recipe_file}")
    for plot in plots:
        console.echo(f"plot: {plot}")
    console.note(selection_bias_note(result))
    consent = f" --model {recipe.model}" if is_user_code(recipe.model) else ""
    train = f"kd train {shlex.quote(str(recipe_file))}{consent}"
    console.note(f"next: {train} --seed {seed + 1}{more}")


def _print_trials(result: SearchResult, trials: list[Trial]) -> None:
    names = [dimension.name for dimension in result.space]
    rows: list[list[object]] = []
    for trial in trials[:MAX_ROWS]:
        name = f"{trial.number}{' (original)' * (trial.number == result.base)}"
        score, varied = trial.score, map(trial.values.get, names)
        loss = score and score.log_loss
        accuracy = score and console.percent(score.accuracy, score.ci95)
        seconds = None if math.isnan(trial.seconds) else console.seconds(trial.seconds)
        rows.append([name, trial.state, loss, accuracy, *varied, seconds])
    columns = COLUMNS | dict.fromkeys(names, "g") | {"time": ">"}
    console.show_table(columns, rows)
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
