"""kd compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir, Svg

if TYPE_CHECKING:
    from kaggle_digits.evaluation.comparison import ComparedRun


def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN…", help="Names of finished runs, two or more.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The picture; by default figures/compare.png in the first run's folder.",
            show_default=False,
        ),
    ] = None,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Say which run is better on the rows that all held out, and whether it is chance."""
    from dataclasses import asdict

    from kaggle_digits.core.errors import UsageError
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.comparison import compare_runs, conclusions
    from kaggle_digits.evaluation.evaluate import FIGURES, load_oof
    from kaggle_digits.plots import charts, style
    from kaggle_digits.runs import store

    if output is not None and output.exists():
        raise UsageError(f"{output} stands already; choose another name with -o")
    dataset = load(data_dir)
    opened = [store.open_run(runs_dir, name) for name in dict.fromkeys(runs)]
    found = compare_runs({run.name: load_oof(run, dataset) for run in opened}, dataset.labels)
    picture = output or opened[0].path / FIGURES / "compare.png"
    figure = charts.run_comparison(
        [item.run for item in found],
        [item.score for item in found],
        [item.against_best for item in found],
    )
    with style.svg_copies(svg):
        style.save(figure, picture)
    words = conclusions(found)
    if as_json:
        rows = [
            {
                "run": item.run,
                **asdict(item.score),
                "against_best": item.against_best and asdict(item.against_best),
            }
            for item in found
        ]
        console.print_json({"runs": rows, "words": words, "picture": str(picture)})
        return
    _show_compared(found)
    for line in words:
        console.echo(line)
    console.echo(f"picture: {picture}")


def _show_compared(found: list[ComparedRun]) -> None:
    from rich.table import Table

    table = Table(
        title=f"The same {found[0].score.n:,} held-out rows, best first", title_justify="left"
    )
    table.add_column("run")
    for column in (
        *("accuracy (95 % interval)", "log loss"),
        *("only it right", "only the best right", "p (McNemar)"),
    ):
        table.add_column(column, justify="right")
    for item in found:
        parted = ["–"] * 3
        if item.against_best:
            parted = [f"{item.against_best.lost:,}", f"{item.against_best.gained:,}"]
            parted.append(f"{item.against_best.p_value:.3g}")
        accuracy = console.percent(item.score.accuracy, item.score.ci95)
        table.add_row(console.safe(item.run), accuracy, f"{item.score.log_loss:.4f}", *parted)
    console.print_table(table)
