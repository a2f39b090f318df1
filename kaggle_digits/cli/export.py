"""kd export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of a finished run.")],
    *,
    kind: Annotated[str, typer.Option("--format", help="onnx, litert or saved_model.")] = "litert",
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to make; exports/RUN-FORMAT by default."),
    ] = None,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Write a run's model for other programs, and check that it answers as Keras does."""
    from kaggle_digits.core.errors import DataError
    from kaggle_digits.data.dataset import load
    from kaggle_digits.models.export import check_format
    from kaggle_digits.runs.store import open_run
    from kaggle_digits.training.export import export_run

    check_format(kind)
    opened = open_run(runs_dir, run)
    opened.metrics()  # says what to do where it is not finished
    try:
        images = load(data_dir).test.images
    except DataError:
        images = None  # random pixels tell as well whether two models are the same
    with console.err.status(f"writing {run} as {kind}"):
        done = export_run(opened, kind, folder or Path("exports", f"{run}-{kind}"), images)
    if as_json:
        console.print_json(
            {
                "run": run,
                "format": kind,
                "path": str(done.path),
                "bytes": done.size,
                "n": done.n,
                "difference": done.difference,
            }
        )
        return
    console.echo(
        f"{done.path}: {done.size / 1e6:.1f} MB, the answers of Keras on {done.n:,} images within "
        f"{done.difference:.1g}"
    )
    console.note(f"how to use it: {done.folder / 'README.md'}")
