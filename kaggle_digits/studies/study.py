"""A study repeats published experiments: its context, its output and its description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.scores import Score, wilson_interval
from kaggle_digits.plots import page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The titles of the publications, by the letter with which their experiments begin.
SOURCES = {
    "A": "A. Beyond the recognition of handwritten digits",
    "B": "B. Handwritten digit recognition app: linear model against neural network",
    "C": "C. Digit Recognizer using the MNIST data set",
    "D": "D. A neural network in plain Python on the Coursera subset",
    "E": "E. Handwritten digits with scikit-learn",
}


@dataclass(frozen=True)
class Context:
    """The data and settings of a study.

    ``quick`` trains for fewer epochs on fewer rows. ``rows`` is the number of
    images for t-SNE, ``noise`` one of denoise.NOISES, ``level`` the strength of the noise; None is
    the default. ``progress`` takes a message and optionally the steps done and their total.
    """

    dataset: Dataset
    quick: bool = False
    seed: int = 0
    rows: int | None = None
    noise: str | None = None
    level: float | None = None
    progress: Callable[..., None] = field(default=lambda *_args: None)

    @property
    def quick_note(self) -> str:
        """A note for results of a quick study; otherwise empty."""
        return "fewer epochs because of --quick" if self.quick else ""


class Published(NamedTuple):
    """A published accuracy, 0 to 1, and its wording."""

    accuracy: float
    text: str


class ExperimentResult(NamedTuple):
    """The published and the measured value of one experiment, such as ``A1``.

    ``n`` is the number of rows, None if the value is not a proportion; ``reached`` whether the
    published value was reached within the 95 % interval, None if there is none. ``note`` explains
    differences from the publication.
    """

    experiment: str
    description: str
    published: str
    measured: str
    n: int | None = None
    reached: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Study:
    """A group of published experiments, which ``run`` repeats.

    ``letter`` is that of the publication in SOURCES, ``numbers`` are those of the experiments in
    it. ``cost`` is in seconds on two cores with the competition's data, for the progress bar;
    ``options`` are the fields of Context that it uses besides dataset, quick and seed.
    """

    name: str
    title: str
    letter: str
    numbers: range
    run: Callable[[Context, StudyOutput], None]
    cost: int
    options: tuple[str, ...] = ()

    @property
    def experiments(self) -> tuple[str, ...]:
        """The identifiers of its experiments, such as ``E1``."""
        return tuple(f"{self.letter}{number}" for number in self.numbers)

    @property
    def source(self) -> str:
        """The publication."""
        return SOURCES[self.letter]


class StudyOutput:
    """Collects the results of a study and writes its figures and files into ``folder``."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.study, self._folder = study, folder
        self.experiments: list[ExperimentResult] = []
        self.figures: list[page.PageFigure] = []
        self.seconds = 0.0

    def add_result(
        self,
        experiment: str,
        description: str,
        measured: str,
        *notes: str,
        published: str = "–",
        n: int | None = None,
        reached: bool | None = None,
    ) -> None:
        """Add a result that is described by a text; empty notes are left out."""
        row = (experiment, description, published, measured, n, reached)
        self.experiments.append(ExperimentResult(*row, "; ".join(filter(None, notes))))

    def add_accuracy(
        self,
        experiment: str,
        description: str,
        score: Score,
        published: Published | str = "–",
        *notes: str,
    ) -> None:
        """Add an accuracy and compare it with the published one, if it is not only a text."""
        low, high = score.ci95
        reached = None
        if isinstance(published, Published):
            comparison = "the published value is within the 95 % interval"
            if not low <= published.accuracy <= high:
                higher = score.accuracy > published.accuracy
                comparison = f"{'higher' if higher else 'lower'} than published"
            notes = (comparison, *notes)
            reached, published = high >= published.accuracy, published.text
        measured = f"{100 * score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})"
        row = (experiment, description, measured, *notes)
        self.add_result(*row, published=published, n=score.n, reached=reached)

    def add_figure(self, name: str, title: str, explanation: str, figure: Figure) -> None:
        """Save a figure as ``name``.png and add it, with a short explanation, to the page."""
        path = self._folder / f"{name}.png"
        style.save(figure, path)
        anchor = f"{self.study.name}-{name}"
        self.figures.append(page.PageFigure(anchor, title, explanation, path))

    def add_file(self, name: str, content: bytes) -> None:
        """Save a file for other commands."""
        with atomic_write(self._folder / name) as temporary:
            temporary.write_bytes(content)


def score_labels(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> Score:
    """Score predicted labels; without probabilities the log loss is NaN."""
    correct, n = int((predicted == labels).sum()), len(labels)
    return Score(correct / n, wilson_interval(correct, n), float("nan"), n)
