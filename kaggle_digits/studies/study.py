"""What a study is: published experiments repeated, each figure beside the published one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.metrics.scores import Score, wilson_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Say(Protocol):
    """Told what is being done: in a few words, and how many steps of how many are done."""

    def __call__(self, words: str, done: int = 0, total: int | None = None) -> None:
        """``total`` is None where nothing is counted."""


def _say_nothing(words: str, done: int = 0, total: int | None = None) -> None:
    """For whoever does not want to know."""


@dataclass(frozen=True)
class Setting:
    """What a study works on.

    Attributes:
        dataset: the competition's data, or the sample.
        quick: whether fewer rows and epochs will do: does it run, and roughly where?
        seed: of splits and first weights, wherever the published experiment names none.
        rows: how many images t-SNE places; None for its own number.
        noise: one of denoise.NOISES; None for normal noise.
        level: how strong the noise is; None for the level nearest to what was published.
        say: told what is being done.
    """

    dataset: Dataset
    quick: bool = False
    seed: int = 0
    rows: int | None = None
    noise: str | None = None
    level: float | None = None
    say: Say = _say_nothing


@dataclass(frozen=True)
class Finding:
    """One experiment: what was published and what was measured.

    Attributes:
        experiment: its name in the list of studies, such as ``A1``.
        what: was tried.
        published: as it was written, "–" where no figure was given.
        measured: our figure with its 95 % interval, or a short text.
        n: rows it was measured on; None where there is nothing to count.
        reached: whether it is as good as published, within what chance allows; None where nothing
            was published to reach.
        why: where it differs, the reason; and what was done otherwise.
    """

    experiment: str
    what: str
    published: str
    measured: str
    n: int | None = None
    reached: bool | None = None
    why: str = ""


class Panel(NamedTuple):
    """A picture of a study.

    ``name`` is its file's, without suffix; ``explanation`` a sentence or two for a newcomer.
    """

    name: str
    title: str
    explanation: str
    figure: Figure


class Kept(NamedTuple):
    """A file that a study leaves for other commands: its name and its bytes."""

    name: str
    content: bytes


# Pictures are drawn one at a time: a figure takes memory.
Result = Iterable[Finding | Panel | Kept]


@dataclass(frozen=True)
class Study:
    """A group of published experiments.

    Attributes:
        name: as in ``kd study NAME``.
        title: a line that says what it is about.
        source: the write-up that it repeats.
        experiments: the names of those it holds, such as ``E1``.
        run: yields findings, pictures and files as they are made.
        cost: seconds on two cores with the competition's rows, roughly: what progress goes by.
        options: names of the settings that it heeds besides quick and seed.
    """

    name: str
    title: str
    source: str
    experiments: tuple[str, ...]
    run: Callable[[Setting], Result]
    cost: int
    options: tuple[str, ...] = ()


def share_finding(
    experiment: str, what: str, published: float | None, score: Score, *, said: str = "", why: str
) -> Finding:
    """A finding whose figure is an accuracy.

    Args:
        experiment: such as ``A1``.
        what: was tried.
        published: the accuracy, 0 to 1; None where none was given.
        score: ours.
        said: the published figure in its own words; made from ``published`` by default.
        why: what was done otherwise; a reason is added where the figures differ by more than ours
            is uncertain.
    """
    low, high = score.ci95
    measured = f"{100 * score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})"
    if published is None:
        return Finding(experiment, what, said or "–", measured, score.n, None, why)
    words = said or f"{100 * published:.2f} %"
    if low <= published <= high:
        how = "the same within what chance allows"
    else:
        how = "higher than published" if score.accuracy > published else "lower than published"
    reason = f"{how}; {why}" if why else how
    return Finding(experiment, what, words, measured, score.n, high >= published, reason)


def simple_score(right: int, n: int) -> Score:
    """A Score of answers that carry no probabilities: its log loss is NaN."""
    return Score(right / n, wilson_interval(right, n), float("nan"), n)
