"""kd predict: write the submission of a finished run again."""

import shlex
from pathlib import Path

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.text import plural


def predict(
    run: str | None = options.RUN_OR_NEWEST,
    *,
    tta: int | None = option("Test-time augmentation: 1, 5 or 9 views; default: as in the recipe."),
    output: Path | None = options.OUTPUT,
    force: bool = options.FORCE,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Predict test.csv with a finished run and write a submission."""
    from kaggle_digits.cli.progress import track_folders
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.submission_csv import read_submission
    from kaggle_digits.metrics.scores import accuracy_interval
    from kaggle_digits.runs.submission_files import submission_path
    from kaggle_digits.training.predict import saved_views, write_submission

    opened = options.open_run_or_newest(runs_dir, run)
    views = saved_views(opened) if tta is None else tta
    dataset, path = load(data_dir), output or submission_path(submissions_dir, opened.name)
    record = write_submission(opened, dataset, path, views, force=force, each=track_folders)
    changed = int((read_submission(path, dataset.ids) != opened.test().argmax(1)).sum())
    if as_json:
        counts = {"rows": len(dataset.ids), "changed": changed}
        console.print_json({"run": opened.name, "submission": path, **counts, **record})
        return
    console.echo(
        f"{path}: {len(dataset.ids):,} rows from {plural(views, 'view')} of each image, "
        f"checked; {changed:,} differ from the predictions saved in the run"
    )
    if accuracy := record["accuracy"]:
        interval = accuracy_interval(accuracy, record["n_val"])
        console.echo(
            f"accuracy with {plural(views, 'view')}: {console.percent(accuracy, interval)} "
            f"on {record['n_val']:,} held-out rows (95 % interval)"
        )
    if dataset.source.source == "kaggle":
        console.note(f"next: kd submit {shlex.quote(str(path))}")
    else:
        console.note("to submit: kd fetch --force, then train again")
