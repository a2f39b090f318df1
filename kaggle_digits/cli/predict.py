"""kd predict, kd ensemble: submissions from runs that stand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.ensemble import show_ensemble, show_vote
from kaggle_digits.cli.options import (
    DATA,
    RUNS,
    SUBMISSIONS,
    AsJson,
    DataDir,
    RunsDir,
    SubmissionsDir,
)
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kaggle_digits.data.dataset import Dataset

Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="The CSV file to write.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Put a file that stands there aside.")]


def predict(
    run: Annotated[str, typer.Argument(help="A finished run.")],
    *,
    tta: Annotated[
        int | None,
        typer.Option(
            "--tta",
            help="Views of each image, each a little moved: 1, 5 or 9; default: the recipe's.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    force: Force = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Write a run's submission again, perhaps from several views of each image."""
    from kaggle_digits.cli.progress import counted
    from kaggle_digits.data.dataset import load
    from kaggle_digits.runs.store import open_run
    from kaggle_digits.runs.submission_files import (
        make_room,
        refuse_standing,
        submission_path,
        write_run_submission,
    )
    from kaggle_digits.training.predict import predict_again, recipe_views

    opened = open_run(runs_dir, run)
    opened.metrics()
    dataset = load(data_dir)
    if output is not None:
        refuse_standing(output, force=force)
    probabilities = predict_again(opened, dataset, tta, each=counted("predicting"))

    path = write_run_submission(
        opened,
        dataset,
        output or submission_path(submissions_dir, run),
        test=probabilities,
        settle=partial(make_room, force=force) if output else None,
    )
    changed = int((probabilities.argmax(1) != opened.test().argmax(1)).sum())
    views = max(recipe_views(opened)) if tta is None else tta
    if as_json:
        result = {"run": run, "submission": str(path), "views": views}
        console.print_json({**result, "rows": len(dataset.ids), "changed": changed})
        return
    console.say(
        f"{path}: {len(dataset.ids)} rows from {views} view{'s' * (views > 1)}, checked; "
        f"{changed} differ from the run's own answers"
    )


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
        free_path,
        make_room,
        refuse_standing,
        write_predictions,
    )

    check_method(method)
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise UsageError("an ensemble needs at least two different runs: kd ensemble RUN RUN")
    if output is not None:
        refuse_standing(output, force=force)

    def settle(path: Path) -> Path:
        return make_room(path, force=force) if output else free_path(submissions_dir, "ensemble")

    path = output or free_path(submissions_dir, "ensemble")
    if any(name.endswith(".csv") for name in runs):
        files = [Path(name) for name in runs]
        scores, path = _vote_of_files(
            files, method, path, settle, data_dir=data_dir, submissions_dir=submissions_dir
        )
        show_vote(scores, path, as_json=as_json)
        return
    opened = [open_run(runs_dir, name) for name in runs]
    dataset = load(data_dir)
    opened[0].check_data(dataset)
    combined = ensemble_runs(opened, dataset.labels, method)
    path = write_predictions(
        path,
        dataset,
        combined.test.argmax(axis=1).astype("uint8"),
        settle=settle,
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
    settle: Callable[[Path], Path],
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
    from kaggle_digits.ensembling.combiners import vote_labels
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.runs.submission_files import write_predictions

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
    path = write_predictions(
        path,
        dataset,
        vote_labels([answers[file] for file in ordered]),
        settle=settle,
        runs=[name for origin in origins if origin for name in origin.runs],
        method="vote",
        source=_common(origin.source if origin else "unknown" for origin in origins),
        score=None,
    )
    return {file: scores[file] for file in ordered}, path
