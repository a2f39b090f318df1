"""kd labels."""

from __future__ import annotations

from typing import Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir, Svg

MOST_LINES = 5


def labels(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of a finished run.")],
    *,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """List labels of train.csv that are likely wrong, as a picture and a CSV in the run folder."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.evaluate import load_oof
    from kaggle_digits.evaluation.label_errors import write_label_errors
    from kaggle_digits.plots import style
    from kaggle_digits.runs import store

    opened = store.open_run(runs_dir, run)
    dataset = load(data_dir)
    with style.svg_copies(svg):
        found = write_label_errors(opened, dataset, load_oof(opened, dataset))
    if as_json:
        rows = [
            {
                "line": item.prediction.line,
                "label": item.prediction.label,
                "suggested": item.prediction.predicted,
                "confidence": item.prediction.confidence,
                "label_probability": item.label_probability,
            }
            for item in found.errors
        ]
        console.print_json(
            {
                "run": found.run,
                "n": found.rows,
                "label_errors": rows,
                "table": str(found.table),
                "picture": found.figure and str(found.figure),
            }
        )
        return
    console.echo(
        f"{found.run}: of {found.rows:,} held-out labels {len(found.errors):,} may be wrong "
        "(confident learning)"
    )
    for item in found.errors[:MOST_LINES]:
        answer = item.prediction
        console.echo(
            f"line {answer.line}: labelled {answer.label}, read as {answer.predicted} "
            f"({answer.confidence_text} sure)"
        )
    console.echo(f"table:   {found.table}")
    if found.figure:
        console.echo(f"picture: {found.figure}")
        console.note("some are merely badly written: look at the picture before you change a label")
