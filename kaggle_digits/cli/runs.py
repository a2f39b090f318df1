"""kd runs: list the finished runs, or show one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import RUNS, SUBMISSIONS, AsJson, RunsDir, SubmissionsDir
from kaggle_digits.core.errors import RunError

if TYPE_CHECKING:
    from kaggle_digits.runs.run import Run

COLUMNS = ("run", "model", "held out", "accuracy (95 % interval)", "rows", "log loss", "seconds")


def runs(
    run: Annotated[str | None, typer.Argument(help="One run, shown whole.")] = None,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """List the runs, best first; or show one whole."""
    from kaggle_digits.runs.store import list_runs, open_run

    if run is not None:
        _one_run(open_run(runs_dir, run), submissions_dir, as_json=as_json)
    else:
        _runs_table(list_runs(runs_dir), runs_dir, submissions_dir, as_json=as_json)


def _runs_table(
    runs: Sequence[Run], runs_dir: Path, submissions_dir: Path, *, as_json: bool
) -> None:
    """Print every run, best validation accuracy first; unfinished and damaged ones last."""
    rows = sorted((_row(run, submissions_dir) for run in runs), key=_rank)
    if as_json:
        console.print_json({"runs": rows})
        return
    if not rows:
        console.note(f"no runs in {runs_dir} yet; make one: kd train --model dense")
        return
    from rich.table import Table

    table = Table()
    for column in (*COLUMNS, "data", "public score"):
        right = column in ("rows", "log loss", "seconds", "public score")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "run")
    for row in rows:
        if "problem" in row:
            cells = (row["run"], row.get("model", "?"), row["problem"])
            table.add_row(*map(console.cell, cells))
            continue
        loss, public = row["val_loss"], row["public_score"]
        table.add_row(
            console.cell(row["run"]),
            console.cell(row["model"]),
            console.cell(row["held_out"]),
            console.percent(row["val_accuracy"], row["val_accuracy_ci95"]),
            f"{row['n_val']:,}",
            "–" if loss is None else f"{loss:.4f}",
            f"{row['train_seconds']:.0f}",
            console.cell(row["source"]),
            "–" if public is None else f"{public:.5f}",
        )
    console.print_table(table)


def _one_run(run: Run, submissions_dir: Path, *, as_json: bool) -> None:
    """Print everything about one run."""
    config = run.config()
    metrics: dict[str, Any] = run.metrics() if run.finished else {"finished": "not yet"}
    public = _public_score(run.name, submissions_dir)
    if as_json:
        console.print_json({"config": config, "metrics": metrics, "public_score": public})
        return
    from rich.table import Table

    table = Table(title=console.cell(run.path), show_header=False, title_justify="left")
    for key, value in {**_flat(config), **_flat(metrics), "public_score": public}.items():
        table.add_row(console.cell(key), "–" if value is None else console.cell(value))
    console.print_table(table)


def _row(run: Run, submissions_dir: Path) -> dict[str, Any]:
    try:
        config = run.config()
        split = config["split"]
        row: dict[str, Any] = {"run": run.name, "model": config["model"]}
        if not run.finished:
            return {**row, "problem": "unfinished: --resume goes on"}
        metrics = run.metrics()
        return {
            **row,
            "held_out": _held_out(split),
            "source": _short(str(config["data"]["source"])),
            **{
                key: metrics[key]
                for key in ("val_accuracy", "val_accuracy_ci95", "n_val", "val_loss")
            },
            "train_seconds": float(metrics["train_seconds"]),
            "public_score": _public_score(run.name, submissions_dir),
        }
    except (RunError, KeyError, TypeError, ValueError):
        return {"run": run.name, "problem": "damaged: delete the folder"}


def _rank(row: dict[str, Any]) -> tuple[bool, float, str]:
    accuracy = row.get("val_accuracy")
    return "problem" in row, -accuracy if accuracy is not None else math.inf, row["run"]


def _held_out(split: dict[str, Any]) -> str:
    times = f" × {split['repeats']}" if split["repeats"] > 1 else ""
    if split["kind"] == "folds":
        return f"{split['folds']} folds{times}"
    return f"nothing{times}" if split["kind"] == "all" else f"{split['val_fraction']:.0%}{times}"


def _short(source: str) -> str:
    """A source that is a path, by its last part."""
    return Path(source).name or source


def _public_score(name: str, submissions_dir: Path) -> float | None:
    from kaggle_digits.kaggle_api.submission_log import read_log

    scores = [entry.public_score for entry in read_log(submissions_dir) if entry.run == name]
    return next((score for score in reversed(scores) if score is not None), None)


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
