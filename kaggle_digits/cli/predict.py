"""kd predict: write the submission of a finished run again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

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
    from kaggle_digits.cli.progress import track_folders
    from kaggle_digits.data.dataset import load
    from kaggle_digits.runs.store import open_run
    from kaggle_digits.runs.submission_files import (
        move_existing,
        require_absent,
        submission_path,
        write_run_submission,
    )
    from kaggle_digits.training.predict import predict_test, recipe_tta

    opened = open_run(runs_dir, run)
    opened.metrics()
    dataset = load(data_dir)
    if output is not None:
        require_absent(output, force=force)
    probabilities = predict_test(opened, dataset, tta, each=track_folders("predicting"))

    path = write_run_submission(
        opened,
        dataset,
        output or submission_path(submissions_dir, run),
        test=probabilities,
        resolve_path=partial(move_existing, force=force) if output else None,
    )
    changed = int((probabilities.argmax(1) != opened.test().argmax(1)).sum())
    views = max(recipe_tta(opened)) if tta is None else tta
    if as_json:
        result = {"run": run, "submission": str(path), "views": views}
        console.print_json({**result, "rows": len(dataset.ids), "changed": changed})
        return
    console.echo(
        f"{path}: {len(dataset.ids)} rows from {views} view{'s' * (views > 1)}, checked; "
        f"{changed} differ from the run's own answers"
    )
