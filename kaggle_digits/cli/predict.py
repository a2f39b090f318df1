"""kd predict: write the submission of a finished run again."""

from functools import partial
from typing import Annotated

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option


def predict(
    run: options.RunName = None,
    *,
    tta: Annotated[
        int | None, option("Test-time augmentation: 1, 5 or 9 views; default: as in the recipe.")
    ] = None,
    output: options.Output = None,
    force: options.Force = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    submissions_dir: options.SubmissionsDir = options.SUBMISSIONS,
    as_json: options.AsJson = False,
) -> None:
    """Predict test.csv with a finished run and write a submission."""
    from kaggle_digits.cli.progress import track_folders
    from kaggle_digits.data.dataset import load
    from kaggle_digits.runs import submission_files
    from kaggle_digits.training.predict import predict_test
    from kaggle_digits.training.recipe import run_recipe

    opened = options.open_run_or_newest(runs_dir, run)
    opened.metrics()  # raises if the run is unfinished
    dataset = load(data_dir)
    path = output or submission_files.submission_path(submissions_dir, opened.name)
    own = None if output else opened.name
    submission_files.require_absent(path, force=force, own=own)
    probabilities = predict_test(opened, dataset, tta, each=track_folders)
    resolve_path = partial(submission_files.move_existing, force=force, own=own)
    path = submission_files.write_run_submission(
        opened, dataset, path, test=probabilities, resolve_path=resolve_path
    )
    changed = int((probabilities.argmax(1) != opened.test().argmax(1)).sum())
    recipes = [recipe for run in opened.trained_runs() for recipe in run_recipe(run).recipes]
    views = max(recipe.views for recipe in recipes) if tta is None else tta
    if as_json:
        counts = {"views": views, "rows": len(dataset.ids), "changed": changed}
        console.print_json({"run": opened.name, "submission": str(path), **counts})
        return
    console.echo(
        f"{path}: {len(dataset.ids):,} rows from {console.plural(views, 'view')} of each image, "
        f"checked; {changed:,} differ from the predictions saved in the run"
    )
