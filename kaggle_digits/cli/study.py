"""kd study and kd reproduce: repeat published experiments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.studies.study import Context, StudyOutput

Quick = Annotated[
    bool, typer.Option("--quick", help="Fewer epochs and trials: a rough result, fast.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Random seed, if the publication names none.")
]


def study(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The study; without it, list all studies.")
    ] = None,
    *,
    quick: Quick = False,
    seed: Seed = 0,
    rows: Annotated[
        int | None, typer.Option("--rows", min=50, help="neighbours only: number of images.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option("--noise", help="denoise only: normal, uniform or salt-and-pepper."),
    ] = None,
    level: Annotated[
        float | None, typer.Option("--level", min=0.01, max=5, help="denoise only: noise level.")
    ] = None,
    svg: options.Svg = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    as_json: options.AsJson = False,
) -> None:
    """Repeat a published experiment and compare the results."""
    from kaggle_digits.studies.runner import find_study

    if name is None:
        _list_studies(as_json=as_json)
        return
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.plots import style
    from kaggle_digits.studies.runner import run_study

    chosen = find_study(name)
    own_options = {"rows": rows, "noise": noise, "level": level}
    for key, value in own_options.items():
        if value is not None and key not in chosen.options:
            raise UsageError(f"study {name} has no option --{key}; see kd study --help")
    with style.svg_copies(svg), StudyProgress({chosen.name: chosen.cost}) as progress:
        context = _make_context(data_dir, quick, seed, progress)
        context = replace(context, rows=rows, noise=noise, level=level)
        result = run_study(chosen, context, runs_dir)
    if as_json:
        console.print_json(_as_json(result))
        return
    _print_results([result], runs_dir, chosen.name)


def reproduce(
    *,
    quick: Quick = False,
    seed: Seed = 0,
    svg: options.Svg = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    as_json: options.AsJson = False,
) -> None:
    """Repeat all published experiments into one table and one page."""
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.plots import style
    from kaggle_digits.studies.runner import STUDIES, run_studies

    results = []
    costs = {name: each.cost for name, each in STUDIES.items()}
    with style.svg_copies(svg), StudyProgress(costs) as progress:
        context = _make_context(data_dir, quick, seed, progress)
        for result in run_studies(list(STUDIES.values()), context, runs_dir):
            progress.finished(result.study.name, result.seconds)
            results.append(result)
    if as_json:
        console.print_json({"studies": [_as_json(result) for result in results]})
        return
    _print_results(results, runs_dir)


def _make_context(data_dir: Path, quick: bool, seed: int, progress: StudyProgress) -> Context:
    from kaggle_digits.data.dataset import load
    from kaggle_digits.studies.study import Context

    return Context(load(data_dir), quick, seed, progress=progress.report)


def _list_studies(*, as_json: bool) -> None:
    from kaggle_digits.studies.runner import STUDIES

    if as_json:
        studies = [
            {"name": each.name, "title": each.title, "experiments": list(each.experiments)}
            for each in STUDIES.values()
        ]
        console.print_json({"studies": studies})
        return
    console.show_table(
        ("study", "topic", "experiments"),
        [(each.name, each.title, ", ".join(each.experiments)) for each in STUDIES.values()],
    )
    console.note("repeat one: kd study NAME; all of them: kd reproduce")


def _print_results(results: list[StudyOutput], runs_dir: Path, study_name: str = "") -> None:
    from kaggle_digits.studies.runner import FOLDER, PAGE, TABLE

    reached = {True: "yes", False: "no", None: None}
    console.show_table(
        ("", "experiment", "published", "measured", "rows", "reached"),
        [
            (
                row.experiment,
                row.description,
                row.published,
                row.measured,
                console.number(row.n),
                reached[row.reached],
            )
            for result in results
            for row in result.experiments
        ],
    )
    for result in results:
        for row in result.missed:
            console.echo(f"{row.experiment}, {row.description}: not reached; {row.note}")
    folder = runs_dir / FOLDER / study_name
    console.echo(f"table: {folder / TABLE}")
    console.echo(f"page:  {folder / PAGE}")


def _as_json(result: StudyOutput) -> dict[str, Any]:
    return {
        "study": result.study.name,
        "seconds": round(result.seconds, 2),
        "findings": [row.to_json() for row in result.experiments],
        "pictures": [figure.name for figure in result.figures],
    }
