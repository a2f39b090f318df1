"""Classify the digit in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.imaging.loading import NO_DIGIT, prepare
from kaggle_digits.models.base import ProbabilisticModel

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class PicturePrediction:
    """The prediction for one picture.

    Attributes:
        digit: 0 to 9; None if no digit was found.
        confidence: the probability of ``digit``, 0 to 1.
        runner_up: the second most probable digit.
        note: "" or a warning such as "looks like more than one digit".
        probabilities: (10,) float32; zeros if no digit was found.
        image: (28, 28) uint8, the input of the network, 0 background to 255 ink.
        steps: name → (h, w) float32, 0 to 1: the picture after each preprocessing step.
    """

    digit: int | None
    confidence: float | None
    runner_up: int | None
    note: str
    probabilities: NDArray[np.float32]
    image: NDArray[np.uint8]
    steps: dict[str, NDArray[np.float32]]


def classify_picture(model: ProbabilisticModel, picture: Image) -> PicturePrediction:
    """Preprocess a picture from ``open_picture`` as MNIST's images were made and predict it."""
    prepared = prepare(picture)
    image, steps = prepared.image, prepared.steps
    if prepared.note == NO_DIGIT:
        zeros = np.zeros(CLASSES, np.float32)
        return PicturePrediction(None, None, None, NO_DIGIT, zeros, image, steps)
    (probabilities,) = model.predict_proba(image[None])
    second, first = np.argsort(probabilities, kind="stable")[-2:].tolist()
    confidence = float(probabilities[first])
    return PicturePrediction(first, confidence, second, prepared.note, probabilities, image, steps)
