"""kd runs: list the runs, show one, and rm, rename or note one."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import Command, Group, argument, flag, option
from kaggle_digits.cli.submit import is_interactive
from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.errors import RunError, SubmissionError, UsageError, check_choice
from kaggle_digits.core.text import flatten, plural

if TYPE_CHECKING:
    from kaggle_digits.kaggle_api.submission_log import LogEntry
    from kaggle_digits.runs.run import Run

METRICS = ("val_accuracy", "val_accuracy_ci95", "n_val", "val_loss")
LEAK = ("leak", "leaked_accuracy")
COLUMNS = {
    **{"run": "", "accuracy\n(95 % interval)": "", "rows": ",", "public\nscore": ".5f"},
    **{"date": "", "changed\nsettings": "", "held\nout": "", "model": ""},
    **{"log\nloss": ".4f", "time": ">", "seed": "d", "data": ""},
}
# --sort KEY → key of the row, and whether its highest value is first.
SORTS = {
    **{"accuracy": ("val_accuracy", True), "score": ("public_score", True)},
    **{"date": ("created", True), "loss": ("val_loss", False), "time": ("train_seconds", False)},
    **{"name": ("run", False), "model": ("model", False)},
}
SHOW = "show"


class _RunsGroup(Group):
    """``kd runs`` with anything but the name of a command is ``kd runs show``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_command = bool(args) and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if is_command else [SHOW, *args])

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of ``kd runs show``, which the help lists; it parses them itself."""
        params = self.commands[SHOW].get_params(ctx)
        return [param for param in params if param.param_type_name == "option"]


app = typer.Typer(
    name="runs",
    cls=_RunsGroup,
    subcommand_metavar="[RUN] | COMMAND",
    help="List the runs, most accurate first, or show one: kd runs RUN.",
    epilog="Example: kd runs --sort date --filter model=cnn",
)


def _complete(ctx: typer.Context) -> list[str]:
    return [*options.complete_runs(ctx), "rm", "rename", "note"]


@app.command(SHOW, cls=Command, hidden=True)
def show(
    run: str | None = argument("Show all of this run.", "RUN", autocompletion=_complete),
    *,
    sort: str = option(
        f"Best first by {', '.join(SORTS)}.",
        metavar="KEY",
        show_default=True,
        autocompletion=lambda: list(SORTS),
        default="accuracy",
    ),
    filters: list[str] | None = option(
        "Only runs with TEXT in name, model or note, or epochs=5; repeatable.", "--filter"
    ),
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """List the runs, most accurate first, or show one of them."""
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.runs.run import NAME
    from kaggle_digits.runs.store import list_runs, open_run

    check_choice("sort", sort, SORTS)
    try:
        log = read_log(submissions_dir)
    except SubmissionError as error:
        log = []
        console.warn(f"no public scores: {error}")
    scored = [each for each in log if each.public_score is not None]
    if run is not None:
        _print_run(open_run(runs_dir, run), scored, as_json=as_json)
        return
    all_rows = [_summarize(each, scored) for each in list_runs(runs_dir)]
    rows = [row for row in all_rows if all(_matches(row, text) for text in filters or ())]
    rows = _sorted(rows, sort)
    if as_json:
        console.print_json({"runs": rows})
        return
    if not all_rows:
        console.note(f"no runs in {runs_dir} yet; make one: kd train dense")
    elif not rows:
        wanted = " and ".join(filters or ())
        console.note(f"none of the {len(all_rows)} runs in {runs_dir} matches --filter {wanted}")
    else:
        console.show_table(COLUMNS, map(_cells, rows))
    for row in rows:
        if not NAME.fullmatch(row["run"]):  # renamed by hand
            rename = f"rename its folder in {runs_dir} (letters, digits, - and _)"
            console.warn(f"no command takes the name {row['run']!r}; {rename}")
        if row.get("note"):
            console.echo(f"{row['run']}: {row['note']}")
        if row.get("leak"):
            console.warn(f"{row['run']} has no out-of-fold accuracy: {row['leak']}")
        elif row.get("problem"):
            console.warn(f"{row['run']}: {row['problem']}")
        if row.get("extra_rows"):
            pictures = plural(row["extra_rows"], "extra picture")
            console.note(f"{row['run']} was trained on {pictures}")


@app.command("rm", cls=Command, epilog="Example: kd runs rm dense-1 dense-2")
def remove(
    runs: list[str] = options.RUN,
    *,
    yes: bool = flag("Delete without asking.", "--yes", "-y", "--force"),
    runs_dir: Path = options.RUNS_DIR,
) -> None:
    """Delete runs with their models; their submissions stay."""
    from kaggle_digits.runs.manage import remove_run
    from kaggle_digits.runs.store import open_run

    opened = [open_run(runs_dir, name) for name in dict.fromkeys(runs)]
    names = " ".join(run.name for run in opened)
    if not yes:
        if not is_interactive():
            raise UsageError(f"no terminal to confirm on: kd runs rm {names} --yes")
        if not console.confirm(f"Delete {names} for ever?"):
            raise RunError("nothing was deleted: you did not confirm")
    for run in opened:
        remove_run(runs_dir, run.name)
        console.echo(f"{run.path}: deleted")


@app.command(cls=Command, epilog="Example: kd runs rename dense-1 baseline")
def rename(
    run: str = options.RUN,
    name: str = argument("Its new name.", "NAME", default=...),
    *,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
) -> None:
    """Rename a run and its submission."""
    from kaggle_digits.runs.manage import rename_run

    submission = rename_run(runs_dir, submissions_dir, run, name)
    console.echo(f"{runs_dir / run} is now {runs_dir / name}")
    if submission is not None:
        console.echo(f"{submissions_dir / run}.csv is now {submission}")


@app.command(cls=Command, epilog="Example: kd runs note dense-1 baseline")
def note(
    run: str = options.RUN,
    text: str = argument('A line to remember it by; "" removes it.', "TEXT", default=...),
    *,
    runs_dir: Path = options.RUNS_DIR,
) -> None:
    """Attach a note to a run, which kd runs shows."""
    from kaggle_digits.runs.manage import set_note

    set_note(runs_dir, run, text)
    console.echo(f"{run}: {text or 'no note'}")


def _print_run(run: "Run", scored: "Sequence[LogEntry]", *, as_json: bool) -> None:
    config = run.config()
    metrics: dict[str, Any] = run.metrics() if run.finished else {"finished": "not yet"}
    public_score = _public_score(run, metrics, scored)
    if as_json:
        console.print_json({"config": config, "metrics": metrics, "public_score": public_score})
        return
    values = {**flatten(config), **flatten(metrics), "public_score": public_score}
    rows = [(key, f"{v:.6g}" if isinstance(v, float) else v) for key, v in values.items()]
    console.show_table({"setting or metric": "", "value": ""}, rows, str(run.path))


def _public_score(
    run: "Run", metrics: dict[str, Any], scored: "Sequence[LogEntry]"
) -> float | None:
    """Return the score of the run's predictions, else of others that it made, as with --tta.

    An older entry with its name is of a run that --force has renamed since.
    """
    own = [one for one in scored if one.sha256 == metrics.get("submission_sha256")] or [
        one
        for one in scored
        if one.run == run.name and datetime.fromisoformat(one.time) >= run.created()
    ]
    return own[-1].public_score if own else None


def _summarize(run: "Run", scored: "Sequence[LogEntry]") -> dict[str, Any]:
    """Return the row of ``run`` in the list: its metrics, or its ``problem``."""
    from kaggle_digits.data.splits import describe_split

    try:
        config = run.config()
        row: dict[str, Any] = {"run": run.name, "model": config["model"]}
        row |= {"created": run.created().isoformat(), "note": config.get("note")}
        row |= {"recipe": config["recipe"], "changed": _changed_settings(config)}
        row["seed"] = config.get("seed")
        if not run.finished:
            return {**row, "problem": f"unfinished: {run.repair_command()}"}
        metrics = run.metrics()
        source = config["data"].get("source") or "unknown"
        return {
            **row,
            "held_out": describe_split(config["split"]),
            "source": Path(source).name or source,
            **{key: metrics[key] for key in METRICS},
            **{key: metrics.get(key) for key in LEAK},
            "train_seconds": metrics["train_seconds"],
            "public_score": _public_score(run, metrics, scored),
            "extra_rows": run.extra_rows(),
        }
    except RunError as error:
        return {"run": run.name, "problem": to_command_line(str(error))}


def _changed_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return what differs from the default recipe of the model, and from its training rows."""
    from kaggle_digits.training.recipe import Recipe
    from kaggle_digits.training.recipes import MODEL_RECIPES, VARIANTS

    recipe: dict[str, Any] = config["recipe"]
    pseudo, dropped = config.get("pseudo"), config.get("dropped_rows")
    model = str(recipe.get("model"))
    recipes = {each.model: each for each in (MODEL_RECIPES | VARIANTS).values()}
    default = recipes.get(model, Recipe(model)).to_json()
    changed = {key: value for key, value in recipe.items() if value != default.get(key, value)}
    if pseudo:
        changed["pseudo"] = pseudo.get("run")
    if dropped:
        changed["drop_rows"] = dropped.get("file")
    return changed


def _cells(row: dict[str, Any]) -> list[object]:
    accuracy = console.percent(row.get("val_accuracy"), row.get("val_accuracy_ci95"))
    if row.get("leak"):
        accuracy = f"leaked {console.percent(row['leaked_accuracy'])}"
    if "problem" in row:
        accuracy = "unfinished" if "model" in row else "damaged"
    changed = [f"{key} {_short(value)}" for key, value in row.get("changed", {}).items()]
    data = row.get("source")
    if row.get("extra_rows"):
        data = f"{data} + {row['extra_rows']:,}"
    return [
        *(row["run"], accuracy, row.get("n_val"), row.get("public_score")),
        *(row.get("created", "")[:10] or None, ", ".join(changed) or None),
        *map(row.get, ("held_out", "model", "val_loss")),
        console.seconds(row.get("train_seconds")),
        *(row.get("seed"), data),
    ]


def _short(value: Any) -> str:
    """Format the value of a setting: 64,32 for a list, "changed" for nested settings."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "changed" if isinstance(value, dict) else "none" if value is None else str(value)


def _sorted(rows: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """Sort rows by --sort, the best first; rows without a value and unfinished runs are last."""
    column, descending = SORTS[sort]
    ranked = [row for row in rows if row.get(column) is not None and "problem" not in row]
    others = [row for row in rows if row.get(column) is None or "problem" in row]
    best_first = sorted(ranked, key=lambda row: row[column], reverse=descending)
    return best_first + sorted(others, key=lambda row: "problem" in row)


def _matches(row: dict[str, Any], text: str) -> bool:
    """Return whether ``text`` is KEY=VALUE of the run, or a part of its name, model or note."""
    settings = flatten(row.get("recipe", {})) | row.get("changed", {})
    values = {**row, **settings, "data": row.get("source")}
    names = " ".join(str(row.get(key) or "") for key in ("run", "model", "note"))
    pairs = (f"{key}={_short(value)}" for key, value in values.items())
    key, equals, value = text.partition("=")
    return text.lower() in names.lower() or key.replace("-", "_") + equals + value in pairs
