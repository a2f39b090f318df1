"""kd ensemble: combine several runs, or submission files, into one submission."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kaggle_digits.ensembling.ensemble import Ensemble
    from kaggle_digits.runs.run import Run


def ensemble(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN…", help="Finished runs, or submission files (*.csv)."),
    ],
    *,
    method: Annotated[
        str,
        option(
            "mean (default) or vote; weighted or stack fit their weights on out-of-fold "
            "predictions. Files can only vote.",
            "--method",
        ),
    ] = "mean",
    output: options.Output = None,
    force: options.Force = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    submissions_dir: options.SubmissionsDir = options.SUBMISSIONS,
    as_json: options.AsJson = False,
) -> None:
    """Combine several runs or submissions, and measure how much each run adds."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.ensembling.ensemble import check_method, ensemble_runs
    from kaggle_digits.runs.store import open_run
    from kaggle_digits.runs.submission_files import (
        move_existing,
        next_free_path,
        require_absent,
        write_submission_file,
    )

    check_method(method)
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise UsageError("an ensemble needs at least two different runs: kd ensemble RUN RUN")
    if output is not None:
        require_absent(output, force=force)

    def resolve_path(path: Path) -> Path:
        return (
            move_existing(path, force=force)
            if output
            else next_free_path(submissions_dir, "ensemble")
        )

    path = output or next_free_path(submissions_dir, "ensemble")
    if any(name.endswith(".csv") for name in runs):
        if method not in ("mean", "vote"):
            raise UsageError(f"--method {method} needs runs; submission files can only vote")
        files = [Path(name) for name in runs]
        _vote(files, path, resolve_path, data_dir, submissions_dir, as_json=as_json)
        return
    opened = [open_run(runs_dir, name) for name in runs]
    dataset = load(data_dir)
    opened[0].check_data(dataset)
    combined = ensemble_runs(opened, dataset.labels, method)
    path = write_submission_file(
        path,
        dataset,
        combined.test.argmax(axis=1).astype("uint8"),
        resolve_path=resolve_path,
        runs=runs,
        method=method,
        source=_common(str(run.config()["data"]["source"]) for run in opened),
        score=combined.score,
    )
    print_ensemble(opened, combined, method, path, as_json=as_json)


def _common(sources: Iterable[str]) -> str:
    """Return the data source if all are the same, else ``unknown``."""
    different = set(sources)
    return different.pop() if len(different) == 1 else "unknown"


def print_ensemble(
    runs: Sequence[Run], combined: Ensemble, method: str, path: Path, *, as_json: bool
) -> None:
    """Print the metrics of each run and of the ensemble, as a table or as JSON."""
    if as_json:
        console.print_json(_as_json(runs, combined, method, path))
        return
    _print_table(runs, combined, method)
    if combined.temperatures is not None:
        console.note(
            "T: temperature fitted on out-of-fold predictions; above 1 for an overconfident run"
        )
    if combined.weights_help is False:
        console.note(
            "fitted weights do not lower the out-of-fold log loss, so all runs weigh the same"
        )
    if combined.score is None:
        console.note("no row was held out by all of these runs, so nothing can be measured")
    else:
        console.note(
            "adds: this ensemble minus the ensemble without that run "
            "(more correct rows and a lower log loss are better)"
        )
        if method != "vote":
            console.note(
                "the metrics of the ensemble are cross-validated: no row is measured with "
                "weights or temperatures that were fitted on it"
            )
    console.echo(f"{path}: written and checked")


def _as_json(runs: Sequence[Run], combined: Ensemble, method: str, path: Path) -> dict[str, Any]:
    adds, temperatures, weights = combined.contributions, combined.temperatures, combined.weights
    return {
        "submission": str(path),
        "method": method,
        "members": [
            {
                "run": run.name,
                "temperature": temperatures[index] if temperatures else None,
                "weight": weights[index] if weights else None,
                "adds": asdict(adds[index]) if adds else None,
                **(asdict(score) if score else {}),
            }
            for index, (run, score) in enumerate(zip(runs, combined.member_scores, strict=True))
        ],
        "weights_help": combined.weights_help,
        "ensemble": asdict(combined.score) if combined.score else None,
    }


def _print_table(runs: Sequence[Run], combined: Ensemble, method: str) -> None:
    """Print a row for each run and one for the ensemble, with the columns the method has."""
    columns = ["", "accuracy\n(95 % interval)", "rows", "log\nloss"]
    rows: list[list[object]] = []
    names = [*(run.name for run in runs), f"ensemble ({method})"]
    for name, score in zip(names, [*combined.member_scores, combined.score], strict=True):
        accuracy = console.percent(score.accuracy, score.ci95) if score else None
        log_loss = f"{score.log_loss:.4f}" if score else None
        rows.append([name, accuracy, f"{score.n:,}" if score else 0, log_loss])

    def add_column(name: str, values: Iterable[object]) -> None:
        columns.append(name)
        for row, value in zip(rows, [*values, ""], strict=True):
            row.append(value)

    if combined.temperatures is not None:
        add_column("T", (f"{temperature:.2f}" for temperature in combined.temperatures))
    if combined.weights is not None:
        add_column("weight", (f"{weight:.3f}" for weight in combined.weights))
    if combined.contributions is not None:
        add_column(
            "adds\ncorrect", (console.signed(gain.right, ".0f") for gain in combined.contributions)
        )
        log_losses = (console.signed(gain.log_loss, ".4f") for gain in combined.contributions)
        add_column("adds\nlog loss", log_losses)
    console.show_table(columns, rows, numeric=columns[1:])


def _vote(
    files: Sequence[Path],
    path: Path,
    resolve_path: Callable[[Path], Path],
    data_dir: Path,
    submissions_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Write the majority vote of submission files.

    The file with the best public score decides ties; without scores, the first file.
    """
    from kaggle_digits.core.atomic_io import sha256
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.submission_csv import read_origin, read_submission
    from kaggle_digits.ensembling.combiners import majority_vote
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.runs.submission_files import write_submission_file

    if any(file.suffix != ".csv" for file in files):
        raise UsageError("name either runs or submission files ending in .csv, not both")
    dataset = load(data_dir)
    labels = {file: read_submission(file, dataset.ids) for file in files}
    public_scores = {
        entry.sha256: entry.public_score
        for entry in read_log(submissions_dir)
        if entry.public_score is not None
    }
    scores = {file: public_scores.get(sha256(file)) for file in files}
    ordered = sorted(files, key=lambda file: -(scores[file] or 0.0))
    origins = [read_origin(file) for file in files]
    path = write_submission_file(
        path,
        dataset,
        majority_vote([labels[file] for file in ordered]),
        resolve_path=resolve_path,
        runs=[name for origin in origins if origin for name in origin.runs],
        method="vote",
        source=_common(origin.source if origin else "unknown" for origin in origins),
        score=None,
    )
    if as_json:
        members = [{"file": str(file), "public_score": scores[file]} for file in ordered]
        console.print_json({"submission": str(path), "method": "vote", "members": members})
        return
    for file in ordered:
        console.echo(f"{file}: public score {console.number(scores[file], '.5f') or 'unknown'}")
    console.echo(
        f"{path}: majority of {len(files)} files, written and checked; the first file above "
        "decides ties"
    )
