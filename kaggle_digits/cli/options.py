"""Options and arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.runs.run import Run

DATA, RUNS, SUBMISSIONS = Path("data"), Path("runs"), Path("submissions")
DRAWINGS = Path("drawings")
TIMEOUT = 30.0
OUTPUT_PANEL = "Folders and output"


def option(help_text: str, *names: str, panel: str | None = None, **settings: Any) -> Any:
    """Return a typer.Option whose default is not shown; its name is that of the parameter.

    Flags need ``names``, because typer would add --no-FLAG.
    """
    settings = {"show_default": False, **settings}
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **settings)


def argument(help_text: str, metavar: str, **settings: Any) -> Any:
    """Return a typer.Argument whose default is not shown."""
    return typer.Argument(metavar=metavar, help=help_text, show_default=False, **settings)


def _folder(help_text: str, name: str, variable: str) -> Any:
    shown: dict[str, Any] = {"metavar": "FOLDER", "envvar": variable, "show_default": True}
    return option(help_text, name, panel=OUTPUT_PANEL, **shown)


def complete_runs(ctx: typer.Context) -> list[str]:
    """Return the names of all runs, for the shell's completion."""
    folder = Path(ctx.params.get("runs_dir") or RUNS)
    return sorted(path.parent.name for path in folder.glob("*/config.json"))


def complete_recipes() -> list[str]:
    """Return the names of all recipes and models."""
    from kaggle_digits.models.registry import BUILDERS
    from kaggle_digits.training.recipes import RECIPES

    return list(RECIPES | BUILDERS)


A_RUN: dict[str, Any] = {"metavar": "RUN", "autocompletion": complete_runs}
A_RECIPE: dict[str, Any] = {"metavar": "RECIPE", "autocompletion": complete_recipes}
RUN = argument("A run of kd runs.", **A_RUN)
RECIPE = argument("A recipe or model of kd recipes, a FILE, or your MODULE:FUNCTION.", **A_RECIPE)
RunName = Annotated[str | None, argument("A finished run; default: the newest.", **A_RUN)]
PredictorRun = Annotated[str | None, option("Default: the most accurate run.", **A_RUN)]
RecipeName = Annotated[str | None, RECIPE]
RecipeOption = Annotated[str | None, option("The same as RECIPE.", **A_RECIPE)]
ModelOption = Annotated[
    str | None,
    option("Train a model with its default recipe.", **A_RECIPE | {"metavar": "MODEL"}),
]
DataDir = Annotated[Path, _folder("Folder with the three CSV files.", "--data-dir", "KD_DATA_DIR")]
RunsDir = Annotated[Path, _folder("Folder with the run folders.", "--runs-dir", "KD_RUNS_DIR")]
SubmissionsDir = Annotated[
    Path, _folder("Folder with the submission files.", "--submissions-dir", "KD_SUBMISSIONS_DIR")
]
DrawingsDir = Annotated[
    Path, _folder("Folder for drawings that visitors label.", "--drawings-dir", "KD_DRAWINGS_DIR")
]
AsJson = Annotated[bool, option("Print JSON instead of text.", "--json", panel=OUTPUT_PANEL)]
Svg = Annotated[bool, option("Save each figure as SVG, too.", "--svg", panel=OUTPUT_PANEL)]
Output = Annotated[Path | None, option("CSV file to write.", "-o", "--output", panel=OUTPUT_PANEL)]
Force = Annotated[bool, option("Rename an existing output first.", "--force", panel=OUTPUT_PANEL)]
Timeout = Annotated[
    float,
    option(
        "Seconds to wait for a response of Kaggle; pauses between attempts scale with it.",
        "--timeout",
        envvar="KD_KAGGLE_TIMEOUT",
        show_default=True,
    ),
]


def recipe_and_model(
    named: str | None, recipe: str | None, model: str | None
) -> tuple[str | None, str | None]:
    """Return the recipe and the model to train, of which the argument ``named`` is either one.

    UsageError: two recipes are named.
    """
    name = one_of(named, recipe, "--recipe")
    if model is None and name and ":" in name and not Path(name).is_file():
        return None, name  # naming one's own function is consent to run it
    return name, model


def one_of(named: str | None, value: str | None, option: str) -> str | None:
    """Return the value of an argument or of the option that means the same."""
    if named is not None and value is not None:
        raise UsageError(f"{named} and {option} {value} mean the same; leave out one")
    return named if named is not None else value


def open_run_or_newest(runs_dir: Path, name: str | None) -> "Run":
    """Return the run called ``name``; without a name the newest finished one, and say so."""
    from kaggle_digits.runs.run import newest_run, open_run

    if name is not None:
        return open_run(runs_dir, name)
    run = newest_run(runs_dir)
    console.note(f"run {run.name}, the newest; for another one, give its name (kd runs)")
    return run
