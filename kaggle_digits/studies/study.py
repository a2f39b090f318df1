"""A study repeats published experiments: its context, its output and its description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.scores import Score, wilson_interval
from kaggle_digits.plots import page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ignore_progress(message: str, done: int = 0, total: int | None = None) -> None:
    """Do nothing; the default of ``Context.progress``."""


@dataclass(frozen=True)
class Context:
    """The data and settings of a study.

    Attributes:
        dataset: the competition's data or the sample.
        quick: train for fewer epochs and on fewer rows, for a rough result.
        seed: of splits and initial weights, unless the publication names one.
        rows: number of images for t-SNE; None for the default.
        noise: one of denoise.NOISES; None for normal noise.
        level: strength of the noise; None for the level that best matches the publication.
        progress: called with a message and optionally the steps done and their total.
    """

    dataset: Dataset
    quick: bool = False
    seed: int = 0
    rows: int | None = None
    noise: str | None = None
    level: float | None = None
    progress: Callable[..., None] = ignore_progress

    @property
    def quick_note(self) -> str:
        """A note for results of a quick study; otherwise empty."""
        return "fewer epochs because of --quick" if self.quick else ""


class Published(NamedTuple):
    """A published accuracy, 0 to 1, and its wording."""

    accuracy: float
    text: str


@dataclass(frozen=True)
class ExperimentResult:
    """The published and the measured value of one experiment.

    Attributes:
        experiment: its identifier, such as ``A1``.
        description: what was trained or computed.
        measured: the measured value with its 95 % interval, or a short text.
        published: the published value as text; "–" if there is none.
        n: number of rows; None if the value is not a proportion of rows.
        reached: whether the published value was reached within the interval; None if there is none.
        note: differences from the publication and their reasons.
    """

    experiment: str
    description: str
    measured: str
    published: str = "–"
    n: int | None = None
    reached: bool | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``findings`` in the output of ``--json``."""
        return {
            "experiment": self.experiment,
            "what": self.description,
            "published": self.published,
            "measured": self.measured,
            "n": self.n,
            "reached": self.reached,
            "why": self.note,
        }


@dataclass(frozen=True)
class Study:
    """A group of published experiments.

    Attributes:
        name: as in ``kd study NAME``.
        title: the topic.
        source: the publication.
        experiments: the identifiers of its experiments, such as ``E1``.
        run: performs the experiments and adds their results to the output.
        cost: approximate seconds on two cores with the competition's data, for the progress bar.
        options: the fields of Context that it uses besides dataset, quick and seed.
    """

    name: str
    title: str
    source: str
    experiments: tuple[str, ...]
    run: Callable[[Context, StudyOutput], None]
    cost: int
    options: tuple[str, ...] = ()


class StudyOutput:
    """Collects the results of a study and writes its figures and files into ``folder``.

    Attributes:
        study: the study.
        experiments: at least one result per experiment.
        figures: in the order of the page.
        seconds: the duration of the study.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study, self._folder = study, folder
        self.experiments: list[ExperimentResult] = []
        self.figures: list[page.PageFigure] = []
        self.seconds = 0.0

    def add_result(self, experiment: str, description: str, measured: str, **fields: Any) -> None:
        """Add a result; the arguments are the fields of ExperimentResult."""
        self.experiments.append(ExperimentResult(experiment, description, measured, **fields))

    def add_accuracy(
        self,
        experiment: str,
        description: str,
        score: Score,
        published: Published | str = "–",
        note: str = "",
    ) -> None:
        """Add an accuracy and compare it with the published one.

        Args:
            experiment: the identifier, such as ``A1``.
            description: what was trained or computed.
            score: the measured accuracy.
            published: a text if no accuracy was published.
            note: differences from the publication.
        """
        low, high = score.ci95
        reached = None
        if isinstance(published, Published):
            if low <= published.accuracy <= high:
                comparison = "the published value is within the 95 % interval"
            else:
                higher = score.accuracy > published.accuracy
                comparison = f"{'higher' if higher else 'lower'} than published"
            note = join_notes(comparison, note)
            reached, published = high >= published.accuracy, published.text
        measured = f"{100 * score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})"
        self.experiments.append(
            ExperimentResult(experiment, description, measured, published, score.n, reached, note)
        )

    def add_figure(self, name: str, title: str, explanation: str, figure: Figure) -> None:
        """Save a figure as ``name``.png and add it to the page.

        ``explanation`` is for readers who see such a figure for the first time.
        """
        path = self._folder / f"{name}.png"
        style.save(figure, path)
        anchor, uri = f"{self.study.name}-{name}", page.png_data_uri(path)
        self.figures.append(page.PageFigure(anchor, title, explanation, uri))

    def add_file(self, name: str, content: bytes) -> None:
        """Save a file for other commands."""
        with atomic_write(self._folder / name) as temporary:
            temporary.write_bytes(content)


def join_notes(*notes: str) -> str:
    """Join the notes that are not empty."""
    return "; ".join(filter(None, notes))


def score_of_counts(correct: int, n: int) -> Score:
    """Return a Score without probabilities; its log loss is NaN."""
    return Score(correct / n, wilson_interval(correct, n), float("nan"), n)
