"""The parts of a study: its context, its results, and the study itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.scores import Score, wilson_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ProgressCallback(Protocol):
    """Receives a description of the current step, and the steps done of a total."""

    def __call__(self, message: str, done: int = 0, total: int | None = None) -> None:
        """Report progress; ``total`` is None if the number of steps is unknown."""


def _ignore_progress(message: str, done: int = 0, total: int | None = None) -> None:
    """Do nothing."""


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
        progress: called while the study runs.
    """

    dataset: Dataset
    quick: bool = False
    seed: int = 0
    rows: int | None = None
    noise: str | None = None
    level: float | None = None
    progress: ProgressCallback = _ignore_progress

    @property
    def quick_note(self) -> str:
        """A note for results of a quick study; otherwise empty."""
        return "fewer epochs because of --quick" if self.quick else ""


@dataclass(frozen=True)
class ExperimentResult:
    """The published and the measured value of one experiment.

    Attributes:
        experiment: its identifier, such as ``A1``.
        description: what was trained or computed.
        published: the published value as text; "–" if there is none.
        measured: the measured value with its 95 % interval, or a short text.
        n: number of rows; None if the value is not a proportion of rows.
        reached: whether the published value was reached within the interval; None if there is none.
        note: differences from the publication and their reasons.
    """

    experiment: str
    description: str
    published: str
    measured: str
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


class FigureResult(NamedTuple):
    """A figure of a study.

    ``name`` is the file name without suffix; ``explanation`` is for readers who see such a figure
    for the first time.
    """

    name: str
    title: str
    explanation: str
    figure: Figure


class Artifact(NamedTuple):
    """A file that a study saves for other commands."""

    name: str
    content: bytes


# Studies yield their results one by one: a figure takes memory until it is saved.
StudyOutput = Iterable[ExperimentResult | FigureResult | Artifact]


@dataclass(frozen=True)
class Study:
    """A group of published experiments.

    Attributes:
        name: as in ``kd study NAME``.
        title: the topic.
        source: the publication.
        experiments: the identifiers of its experiments, such as ``E1``.
        run: performs the experiments and yields their results.
        cost: approximate seconds on two cores with the competition's data, for the progress bar.
        options: the fields of Context that it uses besides dataset, quick and seed.
    """

    name: str
    title: str
    source: str
    experiments: tuple[str, ...]
    run: Callable[[Context], StudyOutput]
    cost: int
    options: tuple[str, ...] = ()


def accuracy_result(
    experiment: str,
    description: str,
    score: Score,
    *,
    published: float | None = None,
    published_text: str = "",
    note: str = "",
) -> ExperimentResult:
    """Compare an accuracy with the published one.

    Args:
        experiment: the identifier, such as ``A1``.
        description: what was trained or computed.
        score: the measured accuracy.
        published: the published accuracy, 0 to 1; None if there is none.
        published_text: the wording of the publication; by default made from ``published``.
        note: differences from the publication.
    """
    low, high = score.ci95
    measured = f"{100 * score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})"
    if published is None:
        text = published_text or "–"
        return ExperimentResult(experiment, description, text, measured, score.n, None, note)
    if low <= published <= high:
        comparison = "the published value is within the 95 % interval"
    elif score.accuracy > published:
        comparison = "higher than published"
    else:
        comparison = "lower than published"
    return ExperimentResult(
        experiment,
        description,
        published_text or f"{100 * published:.2f} %",
        measured,
        score.n,
        high >= published,
        join_notes(comparison, note),
    )


def join_notes(*notes: str) -> str:
    """Join the notes that are not empty."""
    return "; ".join(filter(None, notes))


def score_of_counts(correct: int, n: int) -> Score:
    """Return a Score without probabilities; its log loss is NaN."""
    return Score(correct / n, wilson_interval(correct, n), float("nan"), n)
