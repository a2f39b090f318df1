"""Tell digits from letters, scribbles, faces, dots and mirrored digits by their look.

A network trained on digits alone is confident about anything, so its probabilities do not tell
(docs/models.md). A small second network does: fitted once, by benchmarks/not_digits.py, to
train.csv against random strokes, letters and digits that were mirrored, turned or put together from
parts. It needs the 28 × 28 image only, so it serves every run, and numpy only.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.base import ProbabilisticModel

WEIGHTS = Path(__file__).with_name("not_digit.npz")
CELL, DIRECTIONS = 4, 8
# An image with a higher score is not a digit; the second if the run is less than SURE of it. One
# held-out digit in 150 is refused.
MAX_SCORE, MAX_UNSURE_SCORE, SURE = 0.994, 0.975, 0.9
# A picture is mirrored if the logit of its mirror image is lower by so much.
MIN_MIRROR_GAIN, SYMMETRIC = 1.0, (0, 1, 8)


def not_digit_scores(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how little each of the (n, 28, 28) images, 255 is ink, looks like a digit: (n,).

    The score is the share of held-out rows of train.csv that look more like digits, 0 to 1.
    """
    return _scores(_logits(images))


def _scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = _weights()
    return np.asarray(np.interp(logits, weights["quantiles"], weights["shares"]), np.float32)


def _logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logit of not being a digit, (n,), of (n, 28, 28) images."""
    weights = _weights()
    hidden = np.maximum(features(images) @ weights["hidden"] + weights["hidden_bias"], 0)
    return np.asarray(hidden @ weights["output"] + weights["output_bias"], np.float32)


def is_not_digit(score: float, confidence: float) -> bool:
    """Whether an image with this score and this confidence of its prediction is not a digit."""
    return score > (MAX_SCORE if confidence >= SURE else MAX_UNSURE_SCORE)


def assess(model: ProbabilisticModel, image: NDArray[np.uint8]) -> tuple[float, bool]:
    """Return the score of (28, 28) pixels, and whether they are mirrored.

    They are if their mirror image looks much more like a digit, an asymmetric one.
    """
    mirrored = mirror(image[None])
    logits, mirrored_logits = _logits(image[None]), _logits(mirrored)
    score = float(_scores(logits)[0])
    gain = float(logits[0] - mirrored_logits[0])
    if gain < MIN_MIRROR_GAIN or _scores(mirrored_logits)[0] > MAX_SCORE:
        return score, False
    (probabilities,) = model.predict_proba(mirrored)
    digit = int(probabilities.argmax())
    return score, digit not in SYMMETRIC and bool(probabilities[digit] >= SURE)


def mirror(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror (n, 28, 28) images left to right, about their centre of mass: column 14, not 13.5."""
    return np.roll(images[:, :, ::-1], 1, axis=2)


def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return histograms of gradient directions: (n, 28, 28) → (n, 7 × 7 cells × 8 directions).

    N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005,
    without their normalization of blocks, with the square root of the sums.
    """
    down, across = np.gradient(images.astype(np.float32) / 255, axis=(1, 2))
    direction = np.arctan2(down, across)[..., None] * (DIRECTIONS / np.pi)
    distance = (direction - np.arange(DIRECTIONS) + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2
    votes = np.hypot(down, across)[..., None] * np.clip(1 - np.abs(distance), 0, None)
    cells = SIDE // CELL
    sums = votes.reshape(len(images), cells, CELL, cells, CELL, DIRECTIONS).sum(axis=(2, 4))
    return np.asarray(np.sqrt(sums).reshape(len(images), cells * cells * DIRECTIONS), np.float32)


@cache
def _weights() -> dict[str, NDArray[np.float32]]:
    with np.load(WEIGHTS) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}
