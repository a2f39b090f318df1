"""Reading sheets of digits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.imaging.loading import NO_DIGIT, prepare_sheet
from kaggle_digits.imaging.sheets import Candidate, PreparedSheet, SheetPart
from kaggle_digits.inference.not_digit import not_digit_scores
from kaggle_digits.inference.predictor import load_predictor
from kaggle_digits.inference.sheet_reader import classify_sheet
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.run import Run

SIDE = 70


def paste(
    images: NDArray[np.uint8], places: list[tuple[int, int]], size: tuple[int, int]
) -> Image.Image:
    """Place images of digits, enlarged, at (left, top) on white paper."""
    ink = np.zeros(size[::-1], np.uint8)
    for image, (left, top) in zip(images, places, strict=True):
        large = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        target = ink[top : top + SIDE, left : left + SIDE]
        np.maximum(target, large, out=target)
    return Image.fromarray(255 - ink)


def test_reads_a_sheet_in_order(trained_run: Run, dataset: Dataset) -> None:
    predictor = load_predictor(trained_run.path.parent)
    rows = predicted_rows(trained_run.oof())
    probabilities = predictor.predict_proba(dataset.train.images[rows])
    sure = rows[np.argsort(-probabilities.max(axis=1))][:60]
    rows = np.random.default_rng(0).permutation(sure)[:9]
    # The second line slopes, and has a space between two numbers.
    places = [(20 + 62 * i, 30) for i in range(5)]
    places += [(40 + 62 * i + 120 * (i > 1), 190 + 8 * i) for i in range(4)]
    sheet = prepare_sheet(paste(dataset.train.images[rows], places, (500, 330)))
    prediction = classify_sheet(predictor, sheet)
    labels = dataset.labels[rows]
    assert [one.line for one in prediction.digits] == [0] * 5 + [1] * 4
    assert [len(line) for line in prediction.lines] == [5, 5]
    assert prediction.lines[1][2] == " "
    assert (np.array([one.digit for one in prediction.digits]) == labels).sum() >= 8
    for one, (left, top) in zip(prediction.digits, places, strict=True):
        assert left <= (one.box[0] + one.box[2]) / 2 <= left + SIDE
        assert top <= (one.box[1] + one.box[3]) / 2 <= top + SIDE
        assert 0 < one.confidence <= 1
    text = "".join(str(one.digit) for one in prediction.digits)
    assert "".join(prediction.lines).replace(" ", "") == text


def test_no_digit(trained_run: Run) -> None:
    blank = prepare_sheet(Image.new("L", (300, 200), 255))
    prediction = classify_sheet(load_predictor(trained_run.path.parent), blank)
    assert (prediction.digits, prediction.lines, prediction.note) == ((), (), NO_DIGIT)


class ByBrightness:
    """A model whose confidence in digit 3 is the largest pixel ÷ 255."""

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = np.zeros((len(images), 10), np.float32)
        probabilities[:, 3] = images.max(axis=(1, 2), initial=0) / 255
        probabilities[:, 5] = 1 - probabilities[:, 3]
        return probabilities


@pytest.mark.parametrize(("whole", "halves", "count"), [(255, 255, 1), (140, 255, 2)])
def test_part_is_cut_where_the_pieces_read_better(
    whole: int, halves: int, count: int, dataset: Dataset
) -> None:
    digits = dataset.train.images[dataset.labels == 3]
    digit = digits[not_digit_scores(digits).argmin()]

    def candidate(brightness: int, left: int, right: int) -> Candidate:
        image = (digit * (brightness / digit.max())).astype(np.uint8)
        return Candidate(image, (left, 0, right, 40))

    part = SheetPart(
        2,
        {
            (0, 1): candidate(halves, 0, 20),
            (1, 2): candidate(halves, 20, 40),
            (0, 2): candidate(whole, 0, 40),
        },
    )
    empty = np.zeros((1, 1, 3), np.uint8)
    prediction = classify_sheet(ByBrightness(), PreparedSheet((part,), empty, 1.0))
    assert len(prediction.digits) == count
