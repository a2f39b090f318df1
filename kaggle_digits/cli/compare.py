"""kd compare: compare runs on the rows that all of them held out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option

COLUMNS = {
    **{"run": "", "accuracy\n(95 % interval)": ">", "log\nloss": ".4f"},
    **{"only it\ncorrect": ",", "only the\nbest correct": ",", "p\n(McNemar)": ".3g"},
}


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN…", help="Two runs or more.")],
    *,
    output: Annotated[
        Path | None, option("Figure file; default figures/compare.png of RUN.", "-o", "--output")
    ] = None,
    force: options.Force = False,
    svg: options.Svg = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    as_json: options.AsJson = False,
) -> None:
    """Compare runs on the same held-out rows and test the difference."""
    from kaggle_digits.core.output_paths import back_up, check_output
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.comparison import compare_runs, conclusions
    from kaggle_digits.evaluation.evaluate import FIGURES, load_oof
    from kaggle_digits.plots import charts, style
    from kaggle_digits.runs.run import open_run

    if output is not None:
        with style.svg_copies(svg):
            outputs = style.saved_paths(output)
        check_output(*outputs, force=force)
    dataset = load(data_dir)
    opened = [open_run(runs_dir, name) for name in dict.fromkeys(runs)]
    oofs = {run.name: load_oof(run, dataset) for run in opened}
    compared = compare_runs(oofs, dataset.labels, {run.name: run.leak() for run in opened})
    path = output or opened[0].path / FIGURES / "compare.png"
    names = [item.run + " (leak)" * bool(item.leak) for item in compared]
    scores = [item.score for item in compared]
    figure = charts.run_comparison(names, scores, [item.against_best for item in compared])
    if output is not None:
        back_up(*outputs)
    with style.svg_copies(svg):
        style.save(figure, path)
    lines = conclusions(compared)
    if as_json:
        rows = []
        for item in compared:
            test = item.against_best and asdict(item.against_best)
            row = {"run": item.run, **asdict(item.score), "against_best": test}
            rows.append(console.without_leaked(row, item.leak))
        console.print_json({"runs": rows, "words": lines, "picture": str(path)})
        return
    table: list[list[object]] = []
    for name, item in zip(names, compared, strict=True):
        score, test = item.score, item.against_best
        differences = (test.lost, test.gained, test.p_value) if test else (None,) * 3
        accuracy = console.percent(score.accuracy, score.ci95)
        table.append([name, accuracy, score.log_loss, *differences])
    title = f"The same {compared[0].score.n:,} held-out rows, best first"
    console.show_table(COLUMNS, table, title)
    for line in lines:
        console.echo(line)
    console.echo(f"figure: {path}")
