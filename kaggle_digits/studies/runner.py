"""Run studies and write their results into table.csv, figures and an HTML page."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kaggle_digits.core.atomic_io import write_text
from kaggle_digits.core.environment import device, hardware, versions
from kaggle_digits.core.errors import UsageError, did_you_mean
from kaggle_digits.plots import page
from kaggle_digits.studies import coursera, denoise, linear_network, models, notebook, scikit
from kaggle_digits.studies.embedding import run_bottleneck, run_tsne
from kaggle_digits.studies.study import Context, Study, StudyOutput

TABLE, PAGE, FOLDER = "table.csv", "index.html", "studies"
COLUMNS = ("study", "experiment", "what", "published", "measured", "rows", "reached", "why")
REACHED = {True: "yes", False: "no", None: ""}
# In the order in which `kd reproduce` runs them.
_STUDIES = (
    Study("models", "From logistic regression to hidden layers", "A", range(1, 5), models.run, 270),
    Study(
        "denoise",
        "Noise, and a denoising auto-encoder",
        "A",
        range(5, 9),
        denoise.run,
        90,
        ("noise", "level"),
    ),
    Study("neighbours", "t-SNE: similar images", "A", range(9, 10), run_tsne, 20, ("rows",)),
    Study("bottleneck", "Each digit as two numbers", "A", range(10, 12), run_bottleneck, 60),
    Study(
        "linear-network",
        "A linear model against a neural network",
        "B",
        range(1, 6),
        linear_network.run,
        105,
    ),
    Study("notebook", "The competition's notebook", "C", range(1, 6), notebook.run, 130),
    Study("coursera", "Ten hidden units and regularization", "D", range(1, 5), coursera.run, 125),
    Study("scikit", "A small network on scikit-learn's digits", "E", range(1, 4), scikit.run, 3),
)
STUDIES = {study.name: study for study in _STUDIES}


def find_study(name: str) -> Study:
    """Return the study called ``name``; raise UsageError if there is none."""
    if name not in STUDIES:
        hint = did_you_mean(name, STUDIES)
        raise UsageError(f"no study called {name!r}; {hint}one of: {', '.join(STUDIES)}")
    return STUDIES[name]


def run_study(study: Study, context: Context, runs_dir: Path) -> StudyOutput:
    """Run one study; write its figures, table and page into runs_dir/studies/<name>.

    Raises DigitsError if a training fails or the folder cannot be written.
    """
    start = time.perf_counter()
    folder = runs_dir / FOLDER / study.name
    output = StudyOutput(study, folder)
    study.run(context, output)
    output.seconds = time.perf_counter() - start
    _write_results([output], context, folder, study.title)
    return output


def run_studies(
    studies: Sequence[Study], context: Context, runs_dir: Path
) -> Iterator[StudyOutput]:
    """Run each study; write the table and the page of all into runs_dir/studies.

    Raises DigitsError as run_study(); the results of earlier studies are kept.
    """
    results: list[StudyOutput] = []
    for study in studies:
        results.append(run_study(study, context, runs_dir))
        _write_results(results, context, runs_dir / FOLDER, "Published experiments, repeated")
        yield results[-1]


def _write_results(
    results: Sequence[StudyOutput], context: Context, folder: Path, title: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        for each in result.experiments:
            *values, reached, why = each.row
            writer.writerow([result.study.name, *values, REACHED[reached], why])
    write_text(folder / TABLE, text.getvalue(), durable=False)
    data = ", ".join(filter(None, [context.dataset.source.source, context.data_note]))
    machine = hardware()
    packages = ", ".join(f"{package} {version}" for package, version in versions().items())
    compared = [
        each.reached
        for result in results
        for each in result.experiments
        if each.reached is not None
    ]
    content = page.render_page(
        "study.html.j2",
        "studies",
        title=title,
        results=results,
        context=context,
        compared=len(compared),
        reached=sum(compared),
        n_rows=len(context.dataset.train),
        seconds=sum(result.seconds for result in results),
        environment=f"Data: {data}. Seed {context.seed}. "
        f"{machine['processor']}, {device(machine)}; {packages}",
    )
    write_text(folder / PAGE, content, durable=False)
