"""Run studies and write their results into table.csv, figures and an HTML page."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits._version import __version__
from kaggle_digits.core.atomic_io import atomic_write, write_text
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.core.errors import UsageError
from kaggle_digits.plots import page, style
from kaggle_digits.studies import (
    bottleneck,
    coursera,
    denoise,
    linear_network,
    models,
    notebook,
    scikit,
    tsne,
)
from kaggle_digits.studies.study import Artifact, Context, ExperimentResult, Study

TABLE, PAGE, FOLDER = "table.csv", "index.html", "studies"
COLUMNS = ["study", "experiment", "what", "published", "measured", "rows", "reached", "why"]
REACHED = {True: "yes", False: "no", None: ""}
# By name, in the order in which `kd reproduce` runs them.
STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        models,
        denoise,
        tsne,
        bottleneck,
        linear_network,
        notebook,
        coursera,
        scikit,
    )
}


@dataclass(frozen=True)
class StudyResult:
    """The results of one study.

    Attributes:
        study: the study.
        experiments: at least one result per experiment.
        figures: in the order of the page.
        seconds: duration of the study.
    """

    study: Study
    experiments: tuple[ExperimentResult, ...]
    figures: tuple[page.PageFigure, ...]
    seconds: float

    @property
    def missed(self) -> list[ExperimentResult]:
        """Results that are worse than the published ones."""
        return [result for result in self.experiments if result.reached is False]


def find_study(name: str) -> Study:
    """Return the study called ``name``.

    Raises:
        UsageError: there is no such study.
    """
    if name not in STUDIES:
        raise UsageError(f"no study called {name!r}; one of: {', '.join(STUDIES)}")
    return STUDIES[name]


def run_study(study: Study, context: Context, runs_dir: Path) -> StudyResult:
    """Run one study; write its figures, table and page into runs_dir/studies/<name>.

    Raises:
        DigitsError: a training fails or the folder cannot be written.
    """
    start = time.perf_counter()
    folder = runs_dir / FOLDER / study.name
    experiments, figures = [], []
    for item in study.run(context):
        if isinstance(item, ExperimentResult):
            experiments.append(item)
        elif isinstance(item, Artifact):
            with atomic_write(folder / item.name) as temporary:
                temporary.write_bytes(item.content)
        else:
            path = folder / f"{item.name}.png"
            style.save(item.figure, path)
            uri = page.png_data_uri(path)
            anchor = f"{study.name}-{item.name}"
            figures.append(page.PageFigure(anchor, item.title, item.explanation, uri))
    seconds = time.perf_counter() - start
    result = StudyResult(study, tuple(experiments), tuple(figures), seconds)
    _write_results([result], context, folder, study.title)
    return result


def run_studies(
    studies: Sequence[Study], context: Context, runs_dir: Path
) -> Iterator[StudyResult]:
    """Run each study; write the table and the page of all into runs_dir/studies.

    Raises:
        DigitsError: as run_study(); the results of earlier studies are kept.
    """
    results: list[StudyResult] = []
    for study in studies:
        results.append(run_study(study, context, runs_dir))
        _write_results(results, context, runs_dir / FOLDER, "Published experiments, repeated")
        yield results[-1]


def _write_results(
    results: Sequence[StudyResult], context: Context, folder: Path, title: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        for row in result.experiments:
            writer.writerow(
                [
                    result.study.name,
                    row.experiment,
                    row.description,
                    row.published,
                    row.measured,
                    row.n,  # csv writes None as an empty cell
                    REACHED[row.reached],
                    row.note,
                ]
            )
    write_text(folder / TABLE, text.getvalue(), durable=False)
    machine = hardware()
    environment = (
        f"{len(context.dataset.train):,} labelled rows (source: {context.dataset.source.source}), "
        f"seed {context.seed}, {sum(result.seconds for result in results):,.0f} s on "
        f"{machine['processor']}, {machine['cores']} cores; "
        + ", ".join(f"{package} {version}" for package, version in versions().items())
    )
    content = page.render_page(
        "study.html.j2",
        "studies",
        title=title,
        results=results,
        quick=context.quick,
        environment=environment,
        version=__version__,
    )
    write_text(folder / PAGE, content, durable=False)
