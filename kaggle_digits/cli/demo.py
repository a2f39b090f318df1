"""kd demo: the whole way on data that needs no account and no network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import console

STEPS = 5


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is put.")] = Path("demo"),
) -> None:
    """Go the whole way on scikit-learn's digits: fetch, train, evaluate, predict, check."""
    from kaggle_digits.cli.progress import TrainingProgress
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.splits import Split
    from kaggle_digits.data.submission_csv import read_submission
    from kaggle_digits.evaluation.evaluate import evaluate
    from kaggle_digits.runs.submission_files import submission_path, write_run_submission
    from kaggle_digits.sources import fetch
    from kaggle_digits.training.predict import predict_test
    from kaggle_digits.training.recipes import RECIPES
    from kaggle_digits.training.train import train

    started = time.perf_counter()
    data_dir, runs_dir, submissions_dir = (folder / d for d in ("data", "runs", "submissions"))

    _step(1, "fetch", "scikit-learn's 1,797 small digits, in the competition's format")
    fetch("sample", data_dir)
    dataset = load(data_dir)
    console.echo(f"  {len(dataset.train):,} labelled and {len(dataset.test):,} unlabelled images")

    _step(2, "train", "a dense network on nine tenths of the labelled rows")
    with TrainingProgress() as progress:
        run = train(dataset, RECIPES["dense"], Split(), runs_dir=runs_dir, callback=progress)
    metrics = run.metrics()
    accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
    console.echo(f"  {accuracy} right on the {metrics['n_val']} rows held out (95 % interval)")

    _step(3, "evaluate", "what it gets wrong, in figures and a page")
    found = evaluate(run, dataset)
    console.echo(f"  {found.report}")

    _step(4, "predict", "the unlabelled images, each seen from five views")
    path = submission_path(submissions_dir, run.name)
    write_run_submission(run, dataset, path, test=predict_test(run, dataset, 5))
    console.echo(f"  {path}")

    _step(5, "check", "as Kaggle would, before anything is sent")
    labels = read_submission(path, dataset.ids)
    console.echo(f"  {len(labels)} rows, ids in order, every label a digit: a valid submission")

    console.echo(f"\nDone in {time.perf_counter() - started:.0f} s. A figure to look at:")
    console.echo(f"  {found.figures['worst-mistakes']}")
    console.echo("Next, with the competition's own 42,000 images:")
    for command, why in (
        ("kd fetch", "needs a Kaggle account; --source openml does not"),
        ("kd train --model cnn", "a few minutes to 99 %"),
        ("kd submit", "sends it and waits for nothing; --wait shows the score"),
    ):
        console.echo(f"  {command:<22} {why}")


def _step(number: int, name: str, what: str) -> None:
    console.echo(f"[{number}/{STEPS}] {name}: {what}")
