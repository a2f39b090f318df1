"""A picture → the digit in it, how sure that is, and what the network saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import CLASSES
from kaggle_digits.imaging.loading import NO_DIGIT, prepare
from kaggle_digits.models.base import ProbabilisticModel

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Answer:
    """What was read in a picture.

    Attributes:
        digit: 0 to 9, or None where none was found.
        confidence: the model's probability of it, 0 to 1.
        runner_up: the digit it would have been otherwise.
        note: "", or what was odd, such as "looks like more than one digit".
        probabilities: (10,) float32; zeros where no digit was found.
        image: (28, 28) uint8, what the network saw, 0 background to 255 ink.
        steps: name → (h, w) float32, 0 to 1: the picture after each step of its preparation.
    """

    digit: int | None
    confidence: float | None
    runner_up: int | None
    note: str
    probabilities: NDArray[np.float32]
    image: NDArray[np.uint8]
    steps: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def read_picture(reader: ProbabilisticModel, picture: Image) -> Answer:
    """Find the digit in a picture and read it.

    Args:
        reader: a Reader, or any model of this package.
        picture: from kaggle_digits.imaging.loading.open_picture.
    """
    prepared = prepare(picture)
    if prepared.note == NO_DIGIT:
        nothing = np.zeros(CLASSES, np.float32)
        return Answer(None, None, None, NO_DIGIT, nothing, prepared.image, prepared.steps)
    (found,) = reader.predict_proba(prepared.image[None])
    second, first = np.argsort(found, kind="stable")[-2:].tolist()
    return Answer(
        first, float(found[first]), second, prepared.note, found, prepared.image, prepared.steps
    )
