"""Repeat studies: their findings into table.csv, their pictures into a page."""

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
from kaggle_digits.plots import page, style
from kaggle_digits.studies.study import Finding, Kept, Setting, Study

TABLE, PAGE, FOLDER = "table.csv", "index.html", "studies"
COLUMNS = ["study", "experiment", "what", "published", "measured", "rows", "reached", "why"]


@dataclass(frozen=True)
class Repeated:
    """A study that was repeated.

    Attributes:
        study: which.
        findings: one an experiment, or several.
        pictures: as they stand in the page.
        seconds: it took.
    """

    study: Study
    findings: tuple[Finding, ...]
    pictures: tuple[page.PageFigure, ...]
    seconds: float

    @property
    def missed(self) -> list[Finding]:
        """Findings worse than what was published."""
        return [finding for finding in self.findings if finding.reached is False]


def repeat(study: Study, setting: Setting, runs_dir: Path) -> Repeated:
    """Repeat one study; pictures, table.csv and index.html go into runs_dir/studies/<name>.

    Raises:
        DigitsError: a training fails or the folder cannot be written.
    """
    started = time.perf_counter()
    folder = runs_dir / FOLDER / study.name
    findings, pictures = [], []
    for item in study.run(setting):
        if isinstance(item, Finding):
            findings.append(item)
            continue
        if isinstance(item, Kept):
            with atomic_write(folder / item.name) as part:
                part.write_bytes(item.content)
            continue
        path = folder / f"{item.name}.png"
        style.save(item.figure, path)
        anchor = f"{study.name}-{item.name}"
        pictures.append(
            page.PageFigure(anchor, item.title, item.explanation, page.png_data_uri(path))
        )
    done = Repeated(study, tuple(findings), tuple(pictures), time.perf_counter() - started)
    write_results([done], setting, folder, study.title)
    return done


def repeat_all(studies: Sequence[Study], setting: Setting, runs_dir: Path) -> Iterator[Repeated]:
    """Repeat each; the table and the page of all stand in runs_dir/studies.

    Raises:
        DigitsError: as repeat(); the studies before stay written.
    """
    done: list[Repeated] = []
    for study in studies:
        done.append(repeat(study, setting, runs_dir))
        write_results(done, setting, runs_dir / FOLDER, "Published experiments, repeated")
        yield done[-1]


def write_results(done: Sequence[Repeated], setting: Setting, folder: Path, title: str) -> None:
    """Write table.csv and index.html, whole.

    Raises:
        StorageError: the folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for repeated in done:
        for finding in repeated.findings:
            writer.writerow([repeated.study.name, *_cells(finding)])
    write_text(folder / TABLE, text.getvalue(), durable=False)
    here = hardware()
    circumstances = (
        f"{len(setting.dataset.train):,} labelled rows (source: {setting.dataset.source.source}), "
        f"seed {setting.seed}, {sum(item.seconds for item in done):,.0f} s on "
        f"{here['processor']}, {here['cores']} cores; "
        + ", ".join(f"{name} {number}" for name, number in versions().items())
    )
    content = page.render_page(
        "study.html.j2",
        "studies",
        title=title,
        done=done,
        quick=setting.quick,
        circumstances=circumstances,
        version=__version__,
    )
    write_text(folder / PAGE, content, durable=False)


def _cells(finding: Finding) -> list[str]:
    reached = {True: "yes", False: "no", None: ""}[finding.reached]
    rows = "" if finding.n is None else str(finding.n)
    return [
        finding.experiment,
        finding.what,
        finding.published,
        finding.measured,
        rows,
        reached,
        finding.why,
    ]
