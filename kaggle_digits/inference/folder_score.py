"""Score a run on a folder of pictures with their true digits in labels.csv."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.errors import DataError
from kaggle_digits.imaging.reader import PictureReader
from kaggle_digits.inference.predictor import classify_prepared
from kaggle_digits.metrics.scores import wilson_interval
from kaggle_digits.models.base import ProbabilisticModel


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
