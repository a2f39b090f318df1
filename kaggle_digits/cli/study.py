"""kd study and kd reproduce."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import DATA, RUNS, AsJson, DataDir, RunsDir, Svg
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.studies.runner import Repeated
    from kaggle_digits.studies.study import Setting

Quick = Annotated[
    bool, typer.Option("--quick", help="Fewer epochs and trials: does it run, and roughly where?")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Of splits and weights that the write-up leaves open.")
]


def study(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Which; without it the studies are listed."),
    ] = None,
    *,
    quick: Quick = False,
    seed: Seed = 0,
    rows: Annotated[
        int | None, typer.Option("--rows", min=50, help="neighbours: so many images.")
    ] = None,
    noise: Annotated[
        str | None, typer.Option("--noise", help="denoise: normal, uniform or salt-and-pepper.")
    ] = None,
    level: Annotated[
        float | None, typer.Option("--level", min=0.01, max=5, help="denoise: how strong.")
    ] = None,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Repeat a published experiment: its figures beside ours, its pictures, a page."""
    from kaggle_digits.studies.catalogue import find_study

    if name is None:
        _list(as_json=as_json)
        return
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.plots import style
    from kaggle_digits.studies.runner import repeat

    chosen = find_study(name)
    options = {"rows": rows, "noise": noise, "level": level}
    for option, value in options.items():
        if value is not None and option not in chosen.options:
            raise UsageError(f"study {name} has no option --{option}: kd study --help")
    with style.svg_copies(svg), StudyProgress({chosen.name: chosen.cost}) as progress:
        setting = _setting(data_dir, quick, seed, progress)
        setting = replace(setting, rows=rows, noise=noise, level=level)
        found = repeat(chosen, setting, runs_dir)
    if as_json:
        console.print_json(_as_json(found))
        return
    _show([found])
    _say_where(runs_dir, chosen.name)


def reproduce(
    *,
    quick: Quick = False,
    seed: Seed = 0,
    svg: Svg = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Repeat every study: one table and one page of pictures."""
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.plots import style
    from kaggle_digits.studies.catalogue import STUDIES
    from kaggle_digits.studies.runner import repeat_all

    found = []
    costs = {name: each.cost for name, each in STUDIES.items()}
    with style.svg_copies(svg), StudyProgress(costs) as progress:
        setting = _setting(data_dir, quick, seed, progress)
        for one in repeat_all(list(STUDIES.values()), setting, runs_dir):
            progress.finished(one.study.name, one.seconds)
            found.append(one)
    if as_json:
        console.print_json({"studies": [_as_json(one) for one in found]})
        return
    _show(found)
    _say_where(runs_dir)


def _setting(data_dir: Path, quick: bool, seed: int, progress: StudyProgress) -> Setting:
    from kaggle_digits.data.dataset import load
    from kaggle_digits.studies.study import Setting

    return Setting(load(data_dir), quick, seed, say=progress.say)


def _list(*, as_json: bool) -> None:
    from rich.table import Table

    from kaggle_digits.studies.catalogue import STUDIES

    if as_json:
        console.print_json(
            {
                "studies": [
                    {"name": s.name, "title": s.title, "experiments": list(s.experiments)}
                    for s in STUDIES.values()
                ]
            }
        )
        return
    table = Table()
    for column in ("study", "what", "experiments"):
        table.add_column(column)
    for one in STUDIES.values():
        table.add_row(one.name, one.title, ", ".join(one.experiments))
    console.print_table(table)
    console.note("repeat one: kd study NAME; all of them: kd reproduce")


def _show(found: list[Repeated]) -> None:
    from rich.table import Table

    table = Table()
    for column in ("", "tried", "published", "measured", "rows", "reached"):
        table.add_column(column, overflow="fold")
    for one in found:
        for finding in one.findings:
            table.add_row(
                finding.experiment,
                console.safe(finding.what),
                console.safe(finding.published),
                console.safe(finding.measured),
                "–" if finding.n is None else f"{finding.n:,}",
                {True: "yes", False: "no", None: "–"}[finding.reached],
            )
    console.print_table(table)
    for one in found:
        for finding in one.missed:
            console.echo(f"{finding.experiment}, {finding.what}: not reached; {finding.why}")


def _say_where(runs_dir: Path, study: str = "") -> None:
    from kaggle_digits.studies.runner import FOLDER, PAGE, TABLE

    folder = runs_dir / FOLDER / study
    console.echo(f"table: {folder / TABLE}")
    console.echo(f"page:  {folder / PAGE}")


def _as_json(found: Repeated) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "study": found.study.name,
        "seconds": round(found.seconds, 2),
        "findings": [asdict(finding) for finding in found.findings],
        "pictures": [picture.name for picture in found.pictures],
    }
