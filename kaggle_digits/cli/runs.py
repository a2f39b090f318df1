"""kd runs: list the runs, or show one."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.core.errors import RunError, SubmissionError

if TYPE_CHECKING:
    from kaggle_digits.runs.run import Run

# name of a run, or hash of its submission → accuracy
PublicScores = Mapping[str, float | None]
METRICS = ("val_accuracy", "val_accuracy_ci95", "n_val", "val_loss")
LEAK = ("leak", "leaked_accuracy")
COLUMNS = {
    **{"run": "", "model": "", "held\nout": "", "accuracy\n(95 % interval)": "", "rows": ","},
    **{"log\nloss": ".4f", "time\n(s)": ".0f", "data": "", "public\nscore": ".5f"},
}


def runs(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Show all of this run.")] = None,
    runs_dir: options.RunsDir = options.RUNS,
    submissions_dir: options.SubmissionsDir = options.SUBMISSIONS,
    as_json: options.AsJson = False,
) -> None:
    """List the runs, most accurate first, or show one of them."""
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.runs.run import list_runs, open_run

    try:
        log = read_log(submissions_dir)
    except SubmissionError as error:
        log = []
        console.warn(f"no public scores: {error}")
    scored = [each for each in log if each.public_score is not None]
    # The log names the runs of an ensemble, so its submission is recognised by its hash.
    public_scores = {key: each.public_score for each in scored for key in (each.run, each.sha256)}
    if run is not None:
        _print_run(open_run(runs_dir, run), public_scores, as_json=as_json)
        return
    rows = sorted((_summarize(each, public_scores) for each in list_runs(runs_dir)), key=_rank)
    if as_json:
        console.print_json({"runs": rows})
    elif rows:
        console.show_table(COLUMNS, map(_cells, rows))
        for row in rows:
            if row.get("leak"):
                console.warn(f"{row['run']} has no out-of-fold accuracy: {row['leak']}")
    else:
        console.note(f"no runs in {runs_dir} yet; make one: kd train --model dense")


def _print_run(run: "Run", public_scores: PublicScores, *, as_json: bool) -> None:
    config = run.config()
    metrics: dict[str, Any] = run.metrics() if run.finished else {"finished": "not yet"}
    public_score = public_scores.get(metrics.get("submission_sha256") or run.name)
    if as_json:
        console.print_json({"config": config, "metrics": metrics, "public_score": public_score})
        return
    values = {**_flatten(config), **_flatten(metrics), "public_score": public_score}
    console.show_table({"setting or metric": "", "value": ""}, values.items(), str(run.path))


def _summarize(run: "Run", public_scores: PublicScores) -> dict[str, Any]:
    """Return the row of ``run`` in the list: its metrics, or its ``problem``."""
    from kaggle_digits.data.splits import describe_split

    try:
        config = run.config()
        row: dict[str, Any] = {"run": run.name, "model": config["model"]}
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
            "public_score": public_scores.get(metrics.get("submission_sha256") or run.name),
        }
    except RunError as error:
        return {"run": run.name, "problem": str(error)}


def _cells(row: dict[str, Any]) -> list[object]:
    accuracy = console.percent(row.get("val_accuracy"), row.get("val_accuracy_ci95"))
    if row.get("leak"):
        accuracy = f"leaked {console.percent(row['leaked_accuracy'])}"
    first = (row["run"], row.get("model"), row.get("problem") or row["held_out"], accuracy)
    return [*first, *map(row.get, ("n_val", "val_loss", "train_seconds", "source", "public_score"))]


def _rank(row: dict[str, Any]) -> tuple[bool, float, str]:
    accuracy = row.get("val_accuracy")
    return "problem" in row, -accuracy if accuracy is not None else math.inf, row["run"]


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted keys, such as ``split.folds``."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat
