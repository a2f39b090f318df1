"""kd demo: all steps on a small data set, without an account or a network."""

import time
from functools import partial
from pathlib import Path

from kaggle_digits.cli import console
from kaggle_digits.cli.options import option


def demo(
    folder: Path = option("For all files; default demo.", metavar="FOLDER", default=Path("demo")),
) -> None:
    """Fetch, train, evaluate, predict and check on scikit-learn's small digits."""
    from kaggle_digits.cli.progress import TrainingProgress
    from kaggle_digits.core.errors import DataError
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.splits import Split
    from kaggle_digits.data.submission_csv import read_submission
    from kaggle_digits.evaluation.evaluate import evaluate
    from kaggle_digits.runs.submission_files import is_taken, submission_path
    from kaggle_digits.sources.fetch import fetch
    from kaggle_digits.training.predict import write_submission
    from kaggle_digits.training.recipes import RECIPES
    from kaggle_digits.training.train import train

    started = time.perf_counter()
    data_dir, runs_dir, submissions_dir = (folder / d for d in ("data", "runs", "submissions"))

    console.echo("[1/5] fetch: scikit-learn's 1,797 small digits, in the competition's format")
    try:
        fetch("sample", data_dir)
    except DataError as error:
        message = f"{data_dir} cannot be used; choose another folder: kd demo --folder NEW"
        raise DataError(message) from error
    dataset = load(data_dir)
    console.echo(f"  {len(dataset.train):,} labelled and {len(dataset.test):,} test images")

    console.echo("[2/5] train: a dense network on 90 % of the labelled images")
    with TrainingProgress() as progress:
        run = train(
            dataset,
            RECIPES["dense"],
            Split(),
            runs_dir=runs_dir,
            is_taken=partial(is_taken, submissions_dir),
            callback=progress,
        )
    metrics = run.metrics()
    accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
    console.echo(f"  accuracy {accuracy} on {metrics['n_val']} held-out images (95 % interval)")

    console.echo("[3/5] evaluate: metrics, figures and a report of the errors")
    evaluation = evaluate(run, dataset)
    console.echo(f"  {evaluation.report}")

    console.echo("[4/5] predict: the test images, each from five shifted views")
    path = submission_path(submissions_dir, run.name)
    write_submission(run, dataset, path, 5)
    console.echo(f"  {path}")

    console.echo("[5/5] check: the submission file, as Kaggle checks it")
    labels = read_submission(path, dataset.ids)
    console.echo(f"  valid: {len(labels)} rows, every id once, every label from 0 to 9")

    console.echo(f"\nDone in {console.seconds(time.perf_counter() - started)}.")
    console.echo("Next, with the competition's 42,000 images:")
    console.echo("  kd fetch      downloads them; needs a Kaggle account")
    console.echo("  kd train cnn  99 % in a minute or two")
    console.echo("  kd submit     sends the submission; add --wait to see the score")
    console.echo("What the demo learned, and its errors, in a browser:")
    console.echo(f"  {evaluation.report}")
