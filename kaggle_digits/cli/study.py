"""kd study and kd reproduce: repeat published experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import argument, flag, option
from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.studies.study import Study, StudyOutput


def complete_studies() -> list[str]:
    """Return the names of all studies, for the shell's completion."""
    from kaggle_digits.studies.runner import STUDIES

    return list(STUDIES)


QUICK = flag("Fewer epochs and trials: a rough result, fast.", "--quick")
SEED = option("Random seed, if the publication names none; default 0.", default=0, min=0)


def study(
    name: str | None = argument("Default: list all.", "STUDY", autocompletion=complete_studies),
    *,
    quick: bool = QUICK,
    seed: int = SEED,
    rows: int | None = option("neighbours only: number of images.", min=50),
    noise: str | None = option("denoise only: normal, uniform, salt-and-pepper.", metavar="NOISE"),
    level: float | None = option("denoise only: noise level.", min=0.01, max=5),
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Repeat a published experiment and compare the results."""
    from kaggle_digits.studies.runner import STUDIES, find_study

    if name is not None:
        chosen = find_study(name)
        own_options = {"rows": rows, "noise": noise, "level": level}
        for key, value in own_options.items():
            if value is not None and key not in chosen.options:
                raise UsageError(f"study {name} has no option --{key}; see kd study --help")
        (result,) = _run([chosen], runs_dir, data_dir, quick=quick, seed=seed, **own_options)
        if as_json:
            console.print_json(_as_json(result))
        else:
            _print_results([result], runs_dir, chosen.name)
    elif as_json:
        studies = [
            {"name": each.name, "title": each.title, "experiments": list(each.experiments)}
            for each in STUDIES.values()
        ]
        console.print_json({"studies": studies})
    else:
        topics = [(each.name, each.title, ", ".join(each.experiments)) for each in STUDIES.values()]
        console.show_table({"study": "", "topic": "", "experiments": ""}, topics)
        console.note("repeat one: kd study STUDY; all of them: kd reproduce")


def reproduce(
    *,
    quick: bool = QUICK,
    seed: int = SEED,
    svg: bool = options.SVG,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Repeat all published experiments into one table and one page."""
    from kaggle_digits.studies.runner import STUDIES

    results = _run(list(STUDIES.values()), runs_dir, data_dir, quick=quick, seed=seed)
    if as_json:
        console.print_json({"studies": [_as_json(result) for result in results]})
    else:
        _print_results(results, runs_dir)


def _run(
    studies: list[Study], runs_dir: Path, data_dir: Path, **settings: Any
) -> list[StudyOutput]:
    """Run studies with the ``settings`` of Context; several of them also into one page."""
    from kaggle_digits.cli.progress import StudyProgress
    from kaggle_digits.data.dataset import load
    from kaggle_digits.studies.runner import run_studies, run_study
    from kaggle_digits.studies.study import Context

    results: list[StudyOutput] = []
    with StudyProgress({s.name: s.cost for s in studies}) as progress:
        context = Context(load(data_dir), progress=progress.report, **settings)
        if len(studies) == 1:
            return [run_study(studies[0], context, runs_dir)]
        for result in run_studies(studies, context, runs_dir):
            progress.end_study(result.study.name, result.seconds)
            results.append(result)
    return results


def _print_results(results: list[StudyOutput], runs_dir: Path, study_name: str = "") -> None:
    from kaggle_digits.studies.runner import FOLDER, PAGE, REACHED, TABLE

    rows = [each.row for result in results for each in result.experiments]
    columns = dict.fromkeys(("", "experiment", "published", "measured"), "")
    columns |= {"reached": "", "rows": ","}
    console.show_table(columns, [(*row[:4], REACHED[row[5]] or None, row[4]) for row in rows])
    for result in results:
        shared = result.shared_notes
        for each in result.experiments:
            own = [note for note in each.notes if note not in shared]
            if each.reached is False and own:
                console.echo(f"{each.experiment}, {each.description}: {'; '.join(own)}")
        for note, experiments in shared.items():
            console.echo(f"{', '.join(experiments)}: {note}")
    folder = runs_dir / FOLDER / study_name
    console.echo(f"table: {folder / TABLE}")
    console.echo(f"page:  {folder / PAGE}")


def _as_json(result: StudyOutput) -> dict[str, Any]:
    keys = ("experiment", "what", "published", "measured", "n", "reached", "why")
    return {
        "study": result.study.name,
        "seconds": round(result.seconds, 2),
        "findings": [dict(zip(keys, each.row, strict=True)) for each in result.experiments],
        "pictures": result.pictures,
    }
