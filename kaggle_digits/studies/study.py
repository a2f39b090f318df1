"""A study repeats published experiments: its description, context and output, and its trainings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.data.dataset import SAMPLE_SOURCE, Dataset
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.metrics.classification import compute_metrics
from kaggle_digits.metrics.scores import Score, score_or_raise, wilson_interval
from kaggle_digits.models.base import KerasClassifier, load_classifier
from kaggle_digits.plots import charts, page, style
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldResult, FoldTask, fit_fold
from kaggle_digits.training.recipe import Recipe

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
# With quick: three epochs, or as many as see this number of rows in total.
QUICK_EPOCHS, QUICK_ROWS = 3, 5_000


@dataclass(frozen=True)
class Context:
    """The data and settings of a study.

    ``quick`` trains for fewer epochs on fewer rows. ``rows`` is the number of images for t-SNE,
    ``noise`` one of denoise.NOISES, ``level`` the strength of the noise; None is the default.
    ``progress`` takes a message and optionally the steps done and their total.
    """

    dataset: Dataset
    quick: bool = False
    seed: int = 0
    rows: int | None = None
    noise: str | None = None
    level: float | None = None
    progress: Callable[..., None] = field(default=lambda *_args: None)

    @property
    def data_note(self) -> str:
        """How the images differ from the publications', which are MNIST's; empty if they do not."""
        on_sample = self.dataset.source.source == SAMPLE_SOURCE
        return "scikit-learn's small digits instead of MNIST's" if on_sample else ""

    @property
    def differences(self) -> str:
        """How data and training differ from the publication's; empty if they do not."""
        training = "shorter training because of --quick" if self.quick else ""
        return "; ".join(filter(None, [self.data_note, training]))

    def command(self, study: str) -> str:
        """Return the command that repeats a study with these settings."""
        names = {"seed": self.seed or None, "rows": self.rows}
        given = names | {"noise": self.noise, "level": self.level}
        options = [f" --{name} {value}" for name, value in given.items() if value is not None]
        return f"kd study {study}{' --quick' if self.quick else ''}{''.join(options)}"

    def split(self, labels: Labels, val_fraction: float, seed: int | None = None) -> FoldIndices:
        """Split rows with scikit-learn's train_test_split, as the publications do.

        Without ``seed``, it is that of the study, and both parts have the same share of each label.
        """
        from sklearn.model_selection import train_test_split

        stratify = labels if seed is None else None
        seed = self.seed if seed is None else seed
        settings = {"test_size": val_fraction, "random_state": seed, "stratify": stratify}
        train, val = train_test_split(np.arange(len(labels)), **settings)
        return FoldIndices(train, val)

    def fit_and_score(
        self, description: str, recipe: Recipe, fold: FoldIndices
    ) -> tuple[FoldResult, Score]:
        """Train a recipe on a fold's training rows and score it on its validation rows.

        ``description`` is for the progress. Raises ModelError if the loss became NaN.
        """
        test = self.dataset.test
        if self.quick:
            epochs = min(recipe.epochs, max(QUICK_EPOCHS, QUICK_ROWS // len(fold.train)))
            recipe = recipe.with_changes(epochs=epochs)
        task = FoldTask(0, recipe, fold, self.seed, litert=False)
        no_test = replace(test, images=test.images[:0])
        reporter = _ProgressReporter(self.progress, description, recipe.epochs)
        result = fit_fold(task, self.dataset.train, no_test, callback=reporter)
        return result, score_or_raise(result.val_probabilities, self.dataset.labels[fold.val])


class _ProgressReporter(TrainingCallback):
    def __init__(self, progress: Callable[..., None], description: str, epochs: int) -> None:
        self._progress, self._description, self._epochs = progress, description, epochs

    def on_epoch_end(self, row: EpochMetrics) -> None:
        message = f"{self._description}: epoch {row.epoch} of {self._epochs}"
        self._progress(message, row.epoch, self._epochs)


class Published(NamedTuple):
    """A published accuracy, 0 to 1, and its wording."""

    accuracy: float
    text: str


@dataclass(frozen=True)
class ExperimentResult:
    """The published and the measured value of one experiment, such as ``A1``.

    ``n`` is the number of rows, None if the value is not a proportion. ``reached`` is whether the
    published value was reached within the 95 % interval, None if there is none, and ``comparison``
    says it in words. ``notes`` explain differences from the publication; ``figures`` are the names
    of the figures that it asks for.
    """

    experiment: str
    description: str
    measured: str
    notes: tuple[str, ...] = ()
    published: str = "–"
    n: int | None = None
    reached: bool | None = None
    comparison: str = ""
    figures: Sequence[str] = ()

    @property
    def row(self) -> tuple[str, str, str, str, int | None, bool | None, str]:
        """The result as a row of a table, with one text for value and figures and one for notes."""
        measured, why = self.measured, "; ".join(filter(None, [self.comparison, *self.notes]))
        if self.figures:
            figures = f"figure{'s' * (len(self.figures) > 1)}: {', '.join(self.figures)}"
            measured = f"{figures}; {measured}" if measured else figures
        names = (self.experiment, self.description)
        return (*names, self.published, measured, self.n, self.reached, why)


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
        self.pictures: list[Path] = []  # their files
        self.seconds = 0.0

    def add_result(
        self, experiment: str, description: str, measured: str, *notes: str, **fields: Any
    ) -> None:
        """Add an ExperimentResult with ``fields``; leave out empty notes."""
        kept = tuple(filter(None, notes))
        self.experiments.append(ExperimentResult(experiment, description, measured, kept, **fields))

    @property
    def shared_notes(self) -> dict[str, tuple[str, ...]]:
        """The notes that several results have in common, each with their experiments."""
        rows: dict[str, list[str]] = {}
        for result in self.experiments:
            for note in result.notes:
                rows.setdefault(note, []).append(result.experiment)
        return {
            note: tuple(dict.fromkeys(experiments))
            for note, experiments in rows.items()
            if len(experiments) > 1
        }

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
        reached, comparison = None, ""
        if isinstance(published, Published):
            comparison = "the published value is within the 95 % interval"
            if not low <= published.accuracy <= high:
                higher = score.accuracy > published.accuracy
                comparison = f"{'higher' if higher else 'lower'} than published"
            reached, published = high >= published.accuracy, published.text
        self.add_result(
            experiment,
            description,
            f"{100 * score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})",
            *notes,
            published=published,
            n=score.n,
            reached=reached,
            comparison=comparison,
        )

    def add_figure(self, name: str, title: str, explanation: str, figure: Figure) -> None:
        """Save a figure as ``name``.png and add it, with a short explanation, to the page."""
        path = self._folder / f"{name}.png"
        style.save(figure, path)
        self.pictures.append(path)
        anchor = f"{self.study.name}-{name}"
        self.figures.append(page.PageFigure(anchor, title, explanation, *page.read_figure(path)))

    def add_confusion_matrix(
        self, name: str, model: str, probabilities: NDArray[np.float32], labels: Labels
    ) -> None:
        """Add the confusion matrix of a model: probabilities (n, 10), labels (n,)."""
        figure = charts.confusion_matrix(compute_metrics(probabilities, labels).confusion)
        explanation = "Which digits the model takes for which."
        self.add_figure(name, f"Confusion matrix: {model}", explanation, figure)

    def add_file(self, name: str, content: bytes) -> None:
        """Save a file for other commands."""
        with atomic_write(self._folder / name) as temporary:
            temporary.write_bytes(content)


def score_labels(predicted: Labels, labels: Labels) -> Score:
    """Score predicted labels; without probabilities the log loss is NaN."""
    correct, n = int((predicted == labels).sum()), len(labels)
    return Score(correct / n, wilson_interval(correct, n), float("nan"), n)


def load_keras_model(result: FoldResult) -> KerasClassifier:
    """Load the Keras model that ``Context.fit_and_score`` returned as bytes."""
    with TemporaryDirectory() as folder:
        (Path(folder) / result.model_file).write_bytes(result.model_bytes)
        classifier = load_classifier(Path(folder))
    assert isinstance(classifier, KerasClassifier)
    return classifier


def fit_mlp(pixels: NDArray[np.float64], labels: Labels, hidden: int, **settings: Any) -> Any:
    """Fit scikit-learn's MLPClassifier with logistic units, without warning about convergence."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((hidden,), activation="logistic", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(pixels, labels)
