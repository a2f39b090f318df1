"""kd compare: compare runs on the rows that all of them held out."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import argument, flag, option
from kaggle_digits.core.errors import UsageError
from kaggle_digits.core.output_paths import back_up, check_output

if TYPE_CHECKING:
    from kaggle_digits.evaluation.comparison import ComparedRun, RunOverview

SCORE, LOSS = {"run": "", "accuracy\n(95 % interval)": ">"}, {"log\nloss": ".4f"}
TEST = {"only it\ncorrect": ",", "only the\nbest correct": ",", "p\n(McNemar)": ">"}


def compare(
    runs: list[str] | None = argument("Two runs or more.", **options.A_RUN),
    *,
    all_runs: bool = flag("Compare all runs on one HTML page.", "--all"),
    output: Path | None = option(
        "Figure file, default figures/compare.png of RUN; page of --all, default "
        "compare.html in the runs folder.",
        *("-o", "--output"),
    ),
    force: bool = options.FORCE,
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Compare runs on the same held-out rows and test the difference."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.comparison import compare_runs, conclusions
    from kaggle_digits.evaluation.evaluate import FIGURES, load_oof
    from kaggle_digits.plots import charts, style
    from kaggle_digits.runs.store import open_run

    if bool(runs) == all_runs:
        raise UsageError("name two runs or more, or all of them: kd compare --all")
    if all_runs and svg:
        raise UsageError("--svg copies figures; the page of --all has a table only: leave it out")
    if all_runs:
        _compare_all(data_dir, runs_dir, output, force=force, as_json=as_json)
        return
    if output is not None:
        outputs = style.saved_paths(output)
        check_output(*outputs, force=force)
    dataset = load(data_dir)
    opened = [open_run(runs_dir, name) for name in dict.fromkeys(runs or ())]
    oofs = {run.name: load_oof(run, dataset) for run in opened}
    leaks = {run.name: run.leak() for run in opened}
    splits = {run.name: run.config()["split"] for run in opened}
    compared = compare_runs(oofs, dataset.labels, leaks, splits)
    path = output or opened[0].path / FIGURES / "compare.png"
    names, scores = list(map(_label, compared)), [item.score for item in compared]
    figure = charts.run_comparison(names, scores, [item.against_best for item in compared])
    if output is not None:
        back_up(*outputs)
    style.save(figure, path)
    lines = conclusions(compared)
    if as_json:
        rows = list(map(_as_json, compared))
        console.print_json({"runs": rows, "words": lines, "picture": path})
        return
    title = f"The same {compared[0].score.n:,} held-out rows, best first"
    console.show_table(SCORE | LOSS | TEST, map(_cells, compared), title)
    for line in lines:
        console.echo(line)
    console.echo(f"figure: {path}")


def _compare_all(
    data_dir: Path, runs_dir: Path, output: Path | None, *, force: bool, as_json: bool
) -> None:
    """Write the page about all runs and print its table."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.evaluation.comparison import compare_all, write_overview
    from kaggle_digits.runs.store import list_runs

    if output is not None:
        check_output(output, force=force)
    overviews = compare_all(list_runs(runs_dir), load(data_dir))
    if output is not None:
        back_up(output)
    path = output or runs_dir / "compare.html"
    write_overview(path, overviews)
    if as_json:
        console.print_json({"runs": list(map(_as_json, overviews)), "page": path})
        return
    title = "Each run on its own held-out rows, by the lower end of its interval"
    rows = []
    for item in overviews:
        run, accuracy, log_loss, *differences = _cells(item)
        rows.append((run, accuracy, item.score and item.score.n, *differences, log_loss))
    console.show_table(SCORE | {"rows": ","} | TEST | LOSS, rows, title)
    for item in overviews:
        if item.problem:
            console.warn(f"{item.run} is not compared: {item.problem}")
    console.echo(f"page: {path}")
    console.note("open the page in a browser; next: kd evaluate " + overviews[0].run)


def _label(item: "ComparedRun | RunOverview") -> str:
    return item.run + " (leak)" * bool(item.leak)


def _cells(item: "ComparedRun | RunOverview") -> list[object]:
    score, test = item.score, item.against_best
    accuracy = console.percent(score.accuracy, score.ci95) if score else None
    differences = (test.lost, test.gained, test.p_text.strip("= ")) if test else (None,) * 3
    return [_label(item), accuracy, score and score.log_loss, *differences]


def _as_json(item: "ComparedRun | RunOverview") -> dict[str, Any]:
    values = asdict(item)
    score = values.pop("score") or dict.fromkeys(("accuracy", "ci95", "log_loss", "n"))
    return console.without_leaked({**values, **score}, item.leak)
