"""Predict images and pictures with a finished run, without TensorFlow if it has LiteRT models."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.errors import DataError, DigitsError, ModelError, RunError
from kaggle_digits.data.dataset import SAMPLE_SOURCE
from kaggle_digits.data.digits import CLASSES
from kaggle_digits.imaging.loading import MAYBE_SEVERAL, NO_DIGIT, PreparedPicture, prepare
from kaggle_digits.imaging.reader import PictureReader
from kaggle_digits.inference.not_digit import assess, is_not_digit
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.metrics.scores import wilson_interval
from kaggle_digits.models.base import ProbabilisticModel
from kaggle_digits.models.formats import load_for_inference
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import list_runs, open_run
from kaggle_digits.training.predict import predict_images


class Predictor:
    """A finished run with all its models in memory; safe for concurrent threads."""

    def __init__(self, run: Run) -> None:
        """Load every model of ``run``; raise the errors of ``load_predictor``."""
        metrics = run.metrics()
        self.run_name = run.name
        self.val_accuracy: float | None = metrics["val_accuracy"]
        self.extra_rows = run.extra_rows()
        self.caveat = ""
        if _on_sample(run):
            self.caveat = (
                f"run {run.name} was trained on the sample's digits of 8 × 8 pixels, so it reads "
                "fewer pictures than its accuracy says"
            )
        self.skipped: tuple[str, ...] = ()  # errors of better runs that cannot be loaded
        self._temperature: float = metrics["temperature"]
        self._run, self._lock = run, Lock()  # a LiteRT interpreter is not thread-safe
        self._models = [load_for_inference(folder) for folder in run.member_folders()]

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class probabilities, (n, 10), of (n, 28, 28) images, 255 is ink.

        Models, test-time augmentation and ensemble weights are those that predicted test.csv.
        """
        with self._lock:
            return predict_images(self._run, self._models, images)

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict as ``predict`` and calibrate: 90 % confidence is correct in 9 of 10 cases."""
        return apply_temperature(self.predict(images), self._temperature)


def finished_runs(runs_dir: Path) -> list[Run]:
    """List the finished runs in ``runs_dir``, highest validation accuracy first."""
    return _sorted_runs(runs_dir, lambda run: run.metrics()["val_accuracy"] or 0.0)


def _sorted_runs(runs_dir: Path, value: Callable[[Run], Any]) -> list[Run]:
    """List the finished runs, the highest ``value`` first."""
    values = {}
    for run in list_runs(runs_dir):  # sorted by name
        with suppress(RunError):  # unfinished or damaged; `kd runs` reports the details
            values[run] = value(run)
    return sorted(values, key=values.__getitem__, reverse=True)


def _surely_reached(run: Run) -> tuple[bool, float]:
    """Return the lower end of the interval: 30 of 30 rows are less than 990 of 1,000.

    A run on the sample is less than any other, because its digits are easier than pictures.
    """
    return not _on_sample(run), (run.metrics()["val_accuracy_ci95"] or (0.0,))[0]


def _on_sample(run: Run) -> bool:
    return bool(run.config()["data"].get("source") == SAMPLE_SOURCE)


def load_predictor(runs_dir: Path, name: str | None = None) -> Predictor:
    """Load the run called ``name``, or the best finished run that can be loaded.

    The best is the one whose 95 % interval of the accuracy has the highest lower end; runs on the
    sample come last.

    Raises:
        RunError: there is no such run, or it is not finished.
        UsageError: ``name`` is not a valid name.
        ModelError: a model file is missing or damaged.
    """
    if name is not None:
        return Predictor(open_run(runs_dir, name))
    runs = _sorted_runs(runs_dir, _surely_reached)
    if not runs:
        raise RunError(
            f"no finished run in {runs_dir}; train one: "
            "`kd.fetch('sample')`, then `kd.train(dataset, 'cnn')`"
        )
    errors: list[DigitsError] = []
    for run in runs:
        try:
            predictor = Predictor(run)
        except (ModelError, RunError) as error:
            errors.append(error)
            continue
        predictor.skipped = tuple(map(str, errors))
        return predictor
    raise errors[0]


@dataclass(frozen=True)
class PicturePrediction:
    """The prediction for one picture.

    If no digit was found, ``digit``, its probability ``confidence`` and the second most probable
    digit ``runner_up`` are None, and the (10,) ``probabilities`` are zeros. ``note`` is "" or a
    warning. ``image`` is the (28, 28) input of the network, 255 is ink; ``steps`` are name → (h, w)
    float32, 0 to 1: the picture after each preprocessing step. ``not_a_digit``: it does not look
    like one, by its score of ``not_digit_scores`` or because it is ``mirrored``: its mirror image
    looks much more like a digit.
    ``box`` is left, top, right, bottom of the digit in pixels of the upright picture.
    """

    digit: int | None
    confidence: float | None
    runner_up: int | None
    note: str
    probabilities: NDArray[np.float32]
    image: NDArray[np.uint8] = field(repr=False)
    steps: dict[str, NDArray[np.float32]] = field(repr=False)
    not_a_digit: bool = False
    not_a_digit_score: float | None = None
    mirrored: bool = False
    box: tuple[int, ...] | None = None


def classify_picture(model: ProbabilisticModel, picture: Image) -> PicturePrediction:
    """Preprocess a picture from ``open_picture`` as MNIST's images were made and predict it."""
    return classify_prepared(model, prepare(picture))


def classify_prepared(model: ProbabilisticModel, prepared: PreparedPicture) -> PicturePrediction:
    """Predict a picture that was prepared, here or by a ``PictureReader``."""
    image, steps = prepared.image, prepared.steps
    if prepared.note == NO_DIGIT:
        zeros = np.zeros(CLASSES, np.float32)
        return PicturePrediction(None, None, None, NO_DIGIT, zeros, image, steps)
    (probabilities,) = model.predict_proba(image[None])
    second, first = np.argsort(probabilities, kind="stable")[-2:].tolist()
    confidence = float(probabilities[first])
    score, mirrored = assess(model, image)
    not_a_digit = mirrored or is_not_digit(score, confidence)
    is_wide = image.any(axis=0).sum() > image.any(axis=1).sum()
    note = MAYBE_SEVERAL if not_a_digit and is_wide and not mirrored else ""
    return PicturePrediction(
        digit=first,
        confidence=confidence,
        runner_up=second,
        note=prepared.note or note,
        probabilities=probabilities,
        image=image,
        steps=steps,
        not_a_digit=not_a_digit,
        not_a_digit_score=score,
        mirrored=mirrored,
        box=prepared.box,
    )


@dataclass(frozen=True)
class WrongPicture:
    """A picture of a ``label`` that was read as another digit, or as None; ``note`` may say why."""

    file: str
    digit: int | None
    label: int
    confidence: float | None
    note: str


@dataclass(frozen=True)
class FolderScore:
    """Accuracy, 0 to 1, of ``n`` pictures with its 95 % Wilson interval, and the wrong ones."""

    accuracy: float
    ci95: tuple[float, float]
    n: int
    wrong: list[WrongPicture]


def score_folder(
    model: ProbabilisticModel, reader: PictureReader, pictures: Sequence[tuple[Path, int]]
) -> FolderScore:
    """Classify the pictures of ``read_labels``; an unreadable one, or no digit, is wrong, too."""
    wrong, n = [], len(pictures)
    for path, label in pictures:
        digit, confidence = None, None
        try:
            prediction = classify_prepared(model, reader.prepare(path, str(path)))
        except DataError as error:
            note = to_command_line(str(error))
        else:
            digit, confidence, note = prediction.digit, prediction.confidence, prediction.note
        if digit != label:
            wrong.append(WrongPicture(str(path), digit, label, confidence, note))
    return FolderScore(1 - len(wrong) / n, wilson_interval(n - len(wrong), n), n, wrong)
