"""kd ensemble: combine several runs, or submission files, into one submission."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import (
    DATA,
    RUNS,
    SUBMISSIONS,
    AsJson,
    DataDir,
    Force,
    Output,
    RunsDir,
    SubmissionsDir,
)
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.table import Table

    from kaggle_digits.data.dataset import Dataset
    from kaggle_digits.ensembling.ensemble import Ensemble
    from kaggle_digits.runs.run import Run


def ensemble(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN…", help="Runs, or submission files ending .csv.")
    ],
    *,
    method: Annotated[
        str, typer.Option("--method", help="mean, vote, weighted or stack; files: vote.")
    ] = "mean",
    output: Output = None,
    force: Force = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Put several runs, or finished submissions, together; says how much each run adds."""
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
        files = [Path(name) for name in runs]
        scores, path = _vote_of_files(
            files, method, path, resolve_path, data_dir=data_dir, submissions_dir=submissions_dir
        )
        show_vote(scores, path, as_json=as_json)
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
    show_ensemble(opened, combined, method, path, as_json=as_json)


def _common(sources: Iterable[str]) -> str:
    """The source that all have; ``unknown`` where they differ."""
    different = set(sources)
    return different.pop() if len(different) == 1 else "unknown"


def _vote_of_files(
    files: Sequence[Path],
    method: str,
    path: Path,
    resolve_path: Callable[[Path], Path],
    *,
    data_dir: Path,
    submissions_dir: Path,
) -> tuple[dict[Path, float | None], Path]:
    """Write the majority; ties go to the better public score, without scores to the first named.

    Returns the files in the order that decided ties, each with its public score; and the file
    that was written.
    """
    from kaggle_digits.core.atomic_io import sha256
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.submission_csv import read_origin, read_submission
    from kaggle_digits.ensembling.combiners import majority_vote
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.runs.submission_files import write_submission_file

    if any(file.suffix != ".csv" for file in files):
        raise UsageError("name either runs or submission files ending .csv, not both")
    if method not in ("mean", "vote"):
        raise UsageError(f"--method {method} needs runs; submission files can only vote")
    dataset: Dataset = load(data_dir)
    answers = {file: read_submission(file, dataset.ids) for file in files}
    scored = {
        entry.sha256: entry.public_score
        for entry in read_log(submissions_dir)
        if entry.public_score is not None
    }
    scores = {file: scored.get(sha256(file)) for file in files}
    ordered = sorted(files, key=lambda file: -(scores[file] or 0.0))
    origins = [read_origin(file) for file in files]
    path = write_submission_file(
        path,
        dataset,
        majority_vote([answers[file] for file in ordered]),
        resolve_path=resolve_path,
        runs=[name for origin in origins if origin for name in origin.runs],
        method="vote",
        source=_common(origin.source if origin else "unknown" for origin in origins),
        score=None,
    )
    return {file: scores[file] for file in ordered}, path


def show_ensemble(
    runs: Sequence[Run], combined: Ensemble, method: str, path: Path, *, as_json: bool
) -> None:
    """Each run's figures and what it adds, then the ensemble's; or the same as one JSON object."""
    if as_json:
        console.print_json(_as_json(runs, combined, method, path))
        return
    console.print_table(_table(runs, combined, method))
    if combined.temperatures is not None:
        console.note("T: temperature learnt out of fold; above 1 where a run was surer than right")
    if combined.weights_help is False:
        console.note(
            "learnt weights do not lower the log loss out of fold: all runs weigh the same"
        )
    if combined.score is None:
        console.note("no row was held out by all of these runs, so nothing can be measured")
    else:
        console.note("adds: this ensemble less the one without that run; more right, less log loss")
        if method != "vote":
            console.note(
                "the ensemble's figures are cross-validated: no row is judged by its own fit"
            )
    console.echo(f"{path}: written and checked")


def _as_json(runs: Sequence[Run], combined: Ensemble, method: str, path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    adds, temperatures, weights = combined.contributions, combined.temperatures, combined.weights
    return {
        "submission": str(path),
        "method": method,
        "members": [
            {
                "run": run.name,
                "temperature": temperatures[place] if temperatures else None,
                "weight": weights[place] if weights else None,
                "adds": asdict(adds[place]) if adds else None,
                **(asdict(score) if score else {}),
            }
            for place, (run, score) in enumerate(zip(runs, combined.member_scores, strict=True))
        ],
        "weights_help": combined.weights_help,
        "ensemble": asdict(combined.score) if combined.score else None,
    }


def _table(runs: Sequence[Run], combined: Ensemble, method: str) -> Table:
    """A row a run, with the columns that the method has; the ensemble last."""
    from rich.table import Table

    table = Table()
    table.add_column("")
    for column in ("accuracy\n(95 % interval)", "rows", "log\nloss"):
        table.add_column(column, justify="right")
    own: list[list[str]] = [[] for _ in runs]
    if combined.temperatures is not None:
        table.add_column("T", justify="right")
        for cells, warmth in zip(own, combined.temperatures, strict=True):
            cells.append(f"{warmth:.2f}")
    if combined.weights is not None:
        table.add_column("weight", justify="right")
        for cells, weight in zip(own, combined.weights, strict=True):
            cells.append(f"{weight:.3f}")
    if combined.contributions is not None:
        table.add_column("adds\nright", justify="right")
        table.add_column("adds\nlog loss", justify="right")
        for cells, gain in zip(own, combined.contributions, strict=True):
            cells += [console.signed(gain.right, ".0f"), console.signed(gain.log_loss, ".4f")]
    names = [*(run.name for run in runs), f"ensemble ({method})"]
    scores = [*combined.member_scores, combined.score]
    for name, score, cells in zip(names, scores, [*own, []], strict=True):
        table.add_row(
            console.cell(name),
            console.percent(score.accuracy, score.ci95) if score else "–",
            f"{score.n:,}" if score else "0",
            f"{score.log_loss:.4f}" if score else "–",
            *cells,
        )
    return table


def show_vote(scores: dict[Path, float | None], path: Path, *, as_json: bool) -> None:
    """The files in the order that decided ties, each with its public score or None."""
    if as_json:
        members = [{"file": str(f), "public_score": score} for f, score in scores.items()]
        console.print_json({"submission": str(path), "method": "vote", "members": members})
        return
    for file, score in scores.items():
        console.echo(f"{file}: public score {'unknown' if score is None else f'{score:.5f}'}")
    console.echo(f"{path}: majority of {len(scores)} files, ties to the first above; checked")
