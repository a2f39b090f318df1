"""Options and arguments that several commands share, and how the help of a command shows them."""

import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from kaggle_digits.cli import console
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.runs.run import Run

OUTPUT_PANEL = "Folders and output"
# Type of a value → its placeholder in the help, unless the option names one, such as FILE.
PLACEHOLDERS: dict[Any, str] = {int: "N", float: "X", Path: "FILE"}


class Command(TyperCommand):
    """A command with the help of this package: one style of placeholders, and none after flags."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; commands that its messages advise get the folders that it was given."""
        given = {
            param.name: f" {param.opts[0]} {shlex.quote(str(ctx.params[param.name]))}"
            for param in self.params
            if str(param.name).endswith("_dir")
            and getattr(ctx.get_parameter_source(str(param.name)), "name", "") == "COMMANDLINE"
        }
        if not given:
            return super().invoke(ctx)
        commands: dict[str, Any] = dict(ctx.find_root().command.commands)
        for group in ("remote", "runs"):
            parts = commands[group].commands.items()
            commands |= {f"{group} {name}": part for name, part in parts}

        def repeat(match: re.Match[str]) -> str:
            accepted = {param.name for param in commands[match[1]].get_params(ctx)}
            return match[0] + "".join(given[name] for name in given if name in accepted)

        names = "|".join(sorted(commands, key=len, reverse=True))
        pattern = rf"(?:(?<=[:·] )|(?<=\()|(?<=then )|(?<=\bor ))kd ({names})\b"
        console.repeat_folders = partial(re.sub, pattern, repeat)
        return super().invoke(ctx)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters with their placeholders; --help is the last of the last panel."""
        return _with_placeholders(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, RUN instead of {RUN}."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("{", "").replace("}", "") for piece in pieces]


class Group(TyperGroup):
    """A group of commands with the help of this package."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_placeholders(super().get_params(ctx))


def _with_placeholders(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: ""  # its name is its placeholder
        elif param.is_flag:
            param.metavar = ""
        elif param.metavar is None:
            annotation = getattr(getattr(param, "type_descriptor", None), "annotation", str)
            param.metavar = PLACEHOLDERS.get(annotation, "TEXT")
    if len(params) > 1:
        params[-1].rich_help_panel = params[-2].rich_help_panel
    return params


def option(
    help_text: str, *names: str, default: Any = None, panel: str | None = None, **settings: Any
) -> Any:
    """Return a typer.Option whose default is not shown; its name is that of the parameter."""
    settings = {"show_default": False, **settings}
    return typer.Option(default, *names, help=help_text, rich_help_panel=panel, **settings)


def flag(help_text: str, *names: str, **settings: Any) -> Any:
    """Return an option that is False by default; without ``names``, typer would add --no-FLAG."""
    return option(help_text, *names, default=False, **settings)


def argument(help_text: str, metavar: str, *, default: Any = None, **settings: Any) -> Any:
    """Return a typer.Argument whose default is not shown; it is required if that is ``...``."""
    return typer.Argument(default, metavar=metavar, help=help_text, show_default=False, **settings)


def _folder(kind: str, help_text: str) -> Any:
    return option(
        help_text,
        f"--{kind}-dir",
        default=Path(kind),
        metavar="FOLDER",
        envvar=f"KD_{kind.upper()}_DIR",
        show_default=True,
        panel=OUTPUT_PANEL,
    )


def complete_runs(ctx: typer.Context) -> list[str]:
    """Return the names of all runs, for the shell's completion."""
    folder = Path(ctx.params.get("runs_dir") or "runs")
    return sorted(path.parent.name for path in folder.glob("*/config.json"))


def complete_recipes() -> list[str]:
    """Return the names of all recipes and models."""
    from kaggle_digits.models.registry import BUILDERS
    from kaggle_digits.training.recipes import RECIPES

    return list(RECIPES | BUILDERS)


def _save_svg_copies(ctx: typer.Context, enabled: bool) -> bool:
    """Save figures as SVG, too, until the command ends."""
    if enabled:
        from kaggle_digits.plots import style

        ctx.with_resource(style.svg_copies())
    return enabled


A_RUN: dict[str, Any] = {"metavar": "RUN", "autocompletion": complete_runs}
A_RECIPE: dict[str, Any] = {"metavar": "RECIPE", "autocompletion": complete_recipes}
RUN = argument("A run of kd runs.", default=..., **A_RUN)
RUN_OR_NEWEST = argument("A finished run; default: the newest.", **A_RUN)
PREDICTOR_RUN = option("Default: the best run, by the lower end of its 95 % interval.", **A_RUN)
RECIPE = argument("A recipe or model of kd recipes, a FILE, or your MODULE:FUNCTION.", **A_RECIPE)
RECIPE_OPTION = option("The same as RECIPE.", **A_RECIPE)
MODEL_OPTION = option("Train a model with its default recipe.", **A_RECIPE | {"metavar": "MODEL"})
DATA_DIR = _folder("data", "Folder with the three CSV files.")
RUNS_DIR = _folder("runs", "Folder with the run folders.")
SUBMISSIONS_DIR = _folder("submissions", "Folder with the submission files.")
DRAWINGS_DIR = _folder("drawings", "Folder for drawings that visitors label.")
AS_JSON = flag("Print JSON instead of text.", "--json", panel=OUTPUT_PANEL)
SVG = flag("Save each figure as SVG, too.", "--svg", panel=OUTPUT_PANEL, callback=_save_svg_copies)
OUTPUT = option("CSV file to write.", "-o", "--output", panel=OUTPUT_PANEL)
FORCE = flag("Rename an existing output first.", "--force", panel=OUTPUT_PANEL)
TIMEOUT = option(
    "Seconds to wait for a response of Kaggle; pauses between attempts scale with it.",
    "--timeout",
    default=30.0,
    envvar="KD_KAGGLE_TIMEOUT",
    show_default=True,
)


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
    from kaggle_digits.runs.store import newest_run, open_run

    if name is not None:
        return open_run(runs_dir, name)
    run = newest_run(runs_dir)
    console.note(f"run {run.name}, the newest; for another one, give its name (kd runs)")
    return run
