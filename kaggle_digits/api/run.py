"""A run as an object: predict, classify, evaluate, plot, export and submit with it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kaggle_digits.core.errors import DataError, DigitsError, RunError, UsageError, one_line
from kaggle_digits.core.platforms import default_folder
from kaggle_digits.core.summary import Summary
from kaggle_digits.core.text import plural
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.digits import to_images
from kaggle_digits.data.splits import describe_split
from kaggle_digits.evaluation.evaluate import Evaluation, evaluate, first_layer, load_oof, measure
from kaggle_digits.evaluation.label_errors import LabelErrors, write_label_errors
from kaggle_digits.imaging.loading import open_picture, prepare_sheet
from kaggle_digits.inference.predictor import PicturePrediction, Predictor, classify_picture
from kaggle_digits.inference.sheet_reader import SheetPrediction, classify_sheet
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_api.submission_log import LogEntry
from kaggle_digits.metrics.scores import Score
from kaggle_digits.models.base import KerasClassifier, load_classifier
from kaggle_digits.plots import charts, digit_grids
from kaggle_digits.runs import submission_files
from kaggle_digits.runs.run import Run as RunFolder
from kaggle_digits.training.export import ExportResult, export_run, images_to_compare
from kaggle_digits.training.predict import predict_oof, write_submission

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Folder = Path | str | None
Picture = Path | str | bytes | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True, repr=False)
class Run(Summary, RunFolder):
    """A run: its folder, and methods that need the data or the models.

    ``data`` is the dataset that it was trained on; None for the one in the data folder.
    """

    data: Dataset | None = field(default=None, compare=False)

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset it was trained on: ``data``, or that in KD_DATA_DIR, by default ./data."""
        return self.data or load(default_folder("data"))

    @property
    def accuracy(self) -> float | None:
        """The accuracy on held-out rows, 0 to 1; None if none was held out."""
        return self.score.accuracy if self.score else None

    @property
    def score(self) -> Score | None:
        """Accuracy, its 95 % interval and log loss on held-out rows; None if none was held out."""
        metrics = self.metrics()
        if metrics["val_accuracy"] is None:
            return None
        low, high = metrics["val_accuracy_ci95"]
        return Score(metrics["val_accuracy"], (low, high), metrics["val_loss"], metrics["n_val"])

    @property
    def history(self) -> pd.DataFrame:
        """The metrics after each epoch of each model, as in history.csv."""
        import pandas as pd

        return pd.DataFrame(self.read_history()).astype({"member": int, "epoch": int})

    def model(self, member: int = 0) -> Any:
        """Load the Keras model or scikit-learn estimator number ``member``, counted from 0.

        A Keras model takes (n, 28, 28) uint8 images, since normalization is its first layer; an
        estimator takes (n, 784) pixels normalized as in the recipe. UsageError: there is none.
        """
        folders = self.member_folders()
        if not 0 <= member < len(folders):
            raise UsageError(f"run {self.name} has models 0 to {len(folders) - 1}, no {member}")
        classifier = load_classifier(folders[member])
        if isinstance(classifier, KerasClassifier):
            return classifier.network
        return classifier.estimator

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self)

    def predict(self, images: Any = None) -> NDArray[np.float32]:
        """Predict images with all models of the run; return probabilities (n, 10), as in test.npy.

        ``images`` are (n, 28, 28) or (n, 784) pixels, 0 background to 255 ink: an array or a
        DataFrame; None for test.csv. DataError: they have another form.
        """
        pixels = self.dataset.test.images if images is None else images
        return self._predictor.predict(to_images(pixels))

    def classify(self, picture: Picture) -> PicturePrediction:
        """Predict the digit in a picture of any size: a file, its bytes, or a Pillow image.

        An array is (h, w) or (h, w, 3) uint8. DataError: it is not a readable picture.
        """
        return classify_picture(self._predictor, to_picture(picture))

    def classify_all(self, picture: Picture) -> SheetPrediction:
        """Read every digit of a picture of several, given as in ``classify``; raise as it does."""
        return classify_sheet(self._predictor, prepare_sheet(to_picture(picture)))

    def evaluate(self, dataset: Dataset | None = None, *, tta: int | None = None) -> Evaluation:
        """Measure the run on its held-out rows; write its figures and report.html.

        ``tta``: also compare up to that many views of each image, 1, 5 or 9.
        """
        predict = None if tta is None else partial(predict_oof, tta=tta)
        return evaluate(self, dataset or self.dataset, predict)

    def label_errors(self, dataset: Dataset | None = None) -> LabelErrors:
        """Find labels of train.csv that are probably wrong; write a table and a figure."""
        dataset = dataset or self.dataset
        return write_label_errors(self, dataset, load_oof(self, dataset))

    def export(
        self, format: str = "litert", folder: Path | str | None = None, *, force: bool = False
    ) -> ExportResult:
        """Convert the model to ``litert``, ``onnx`` or ``saved_model``; compare both on test.csv.

        ``folder`` is created, by default exports/RUN-FORMAT; ``force`` first renames an existing
        one. Raises as ``kaggle_digits.training.export.export_run``.
        """
        images = images_to_compare(lambda: self.dataset)
        folder = Path(folder or Path("exports", f"{self.name}-{format}"))
        return export_run(self, format, folder, images, force=force)

    def publish(
        self,
        to: str | None = None,
        folder: Path | str | None = None,
        *,
        format: str | None = None,
        license: str = "mit",
        public: bool = False,
        new_version: bool = False,
        force: bool = False,
    ) -> str:
        """Write the model with a model card, send both, and return the address.

        ``to`` is hf:OWNER/NAME (the Hugging Face Hub) or kaggle:OWNER/NAME; without it, nothing is
        sent, and the folder is returned, by default published/RUN. ``format`` is litert or onnx,
        by default what the models allow. What is published already only gets a version more, with
        ``new_version``. Raises as ``publishing.card.write_folder`` and ``publishing.targets``.
        """
        from kaggle_digits.publishing import card, targets

        target = targets.parse_target(to) if to else None
        if target:
            targets.check_login(target)
        kind = card.check_kind(format) if format else card.default_kind(self)
        images = images_to_compare(lambda: self.dataset)
        path = Path(folder or Path("published", self.name))
        card.write_folder(self, path, kind=kind, licence=license, images=images, force=force)
        if target is None:
            return str(path)
        publication = targets.Publication(
            path, self.name, kind, license, private=not public, new_version=new_version
        )
        return targets.publish(publication, target)

    def write_submission(
        self, path: Path | str | None = None, *, tta: int | None = None, force: bool = False
    ) -> Path:
        """Write the predictions of test.csv as a submission, by default submissions/RUN.csv.

        ``tta`` predicts again from that many views, 1, 5 or 9, instead of the recipe's number. An
        existing file is replaced only by the same content; ``force`` renames any other first.
        """
        default = submission_files.submission_path(default_folder("submissions"), self.name)
        target = Path(path or default)
        write_submission(self, self.dataset, target, tta, force=force)
        return target

    def submit(
        self, message: str | None = None, *, submissions_dir: Folder = None, **settings: Any
    ) -> LogEntry:
        """Send submissions/RUN.csv, written if missing, to Kaggle exactly once; return its entry.

        ``message`` describes it, by default by the run and its accuracy. ``wait=True`` waits for
        the public score, ``force=True`` sends predictions again that were sent before, ``data_dir``
        has the competition's files, ``policy`` the time-outs. What is unusual is a Python warning.

        Raises:
            DataError, SubmissionError: it is not valid for the competition, or was sent before.
            KaggleError: Kaggle cannot be reached or rejected it.
        """
        folder = Path(submissions_dir or default_folder("submissions"))
        path = submission_files.submission_path(folder, self.name)
        if not path.exists():
            self.write_submission(path)
        return submit_file(path, message, submissions_dir=folder, **settings)

    def plot_history(self) -> Figure:
        """Plot loss and accuracy after each epoch."""
        return charts.learning_curves(self.read_history())

    def plot_confusion(self) -> Figure:
        """Plot which digits are predicted as which, on the held-out rows."""
        return charts.confusion_matrix(self._measured()[0].confusion)

    def plot_classes(self) -> Figure:
        """Plot the accuracy on each digit with its 95 % interval."""
        metrics = self._measured()[0]
        return charts.class_accuracy(metrics.classes, metrics.score.accuracy)

    def plot_calibration(self) -> Figure:
        """Plot how often predictions of each confidence are correct."""
        metrics = self._measured()[0]
        return charts.reliability_diagram(metrics.calibrated, metrics.calibration)

    def plot_errors(self) -> Figure:
        """Plot the most confident errors."""
        return digit_grids.most_confident_errors(self.dataset.train.images, self._measured()[1])

    def plot_unsure(self) -> Figure:
        """Plot the least confident of the correct predictions."""
        return digit_grids.least_confident_correct(self.dataset.train.images, self._measured()[2])

    def plot_first_layer(self) -> Figure:
        """Plot the weights of the first layer; RunError if the model has none that are images."""
        draw = first_layer(self)
        if draw is None:
            raise RunError(f"the first layer of run {self.name} has no weights that are images")
        return draw()

    def _measured(self) -> Any:
        return measure(self.dataset, load_oof(self, self.dataset))

    def summary(self) -> dict[str, str]:
        """Return its most important settings and metrics as texts; an error becomes ``problem``."""
        rows = {"Run": self.name}
        try:
            config = self.config()
            rows |= {"model": config["model"], "data": config["data"].get("source") or "unknown"}
            if extra_rows := self.extra_rows():
                rows["data"] += f" and {plural(extra_rows, 'extra picture')}"
            rows["held out"] = describe_split(config["split"])
            if score := self.score:
                low, high = (100 * bound for bound in score.ci95)
                interval = f"95 % interval {low:.2f}–{high:.2f}"
                rows["accuracy"] = f"{100 * score.accuracy:.2f} % of {score.n:,} rows ({interval})"
                rows["log loss"] = f"{score.log_loss:.4f}"
        except DigitsError as error:
            rows["problem"] = str(error)
        return rows


def to_picture(picture: Picture) -> Image.Image:
    """Return a picture as a Pillow image; see ``Run.classify``."""
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, np.ndarray):
        try:
            return Image.fromarray(picture)
        except (TypeError, ValueError) as error:
            raise DataError(f"the array is not a picture: {one_line(error)}") from error
    if isinstance(picture, bytes):
        return open_picture(picture, "the picture")
    return open_picture(Path(picture), str(picture))


def submit_file(
    path: Path,
    message: str | None = None,
    *,
    wait: bool = False,
    force: bool = False,
    data_dir: Folder = None,
    submissions_dir: Folder = None,
    policy: RetryPolicy | None = None,
) -> LogEntry:
    """Check a submission file, send it and return the log entry, as ``Run.submit``."""
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.submit import submit, wait_for_score
    from kaggle_digits.kaggle_api.validate import validate_submission

    folder = Path(submissions_dir or default_folder("submissions"))
    checked = validate_submission(
        path,
        data_dir=data_dir or default_folder("data"),
        submissions_dir=folder,
        find_run=partial(submission_files.find_run_origin, default_folder("runs")),
    )
    for text in checked.warnings:
        warnings.warn(text, stacklevel=3)
    client = CompetitionClient(policy=policy or RetryPolicy())
    entry = submit(checked, message=message, force=force, kaggle=client, submissions_dir=folder)
    return wait_for_score(entry, kaggle=client, submissions_dir=folder) if wait else entry
