"""A picture → the digit in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.data.dataset import load
from kaggle_digits.imaging.loading import NO_DIGIT
from kaggle_digits.inference.classify import classify_picture
from kaggle_digits.inference.predictor import load_predictor
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.runs.run import Run
from tests.support.pictures import draw_digit


def test_held_out_digits_are_read_as_pictures_nearly_as_well(
    reading_run: Run, sample: Path
) -> None:
    reader, dataset = load_predictor(reading_run.path.parent), load(sample)
    rows = predicted_rows(reading_run.oof())[:100]
    images, truth = dataset.train.images[rows], dataset.labels[rows]
    plain = (reader.predict_proba(images).argmax(axis=1) == truth).mean()
    large = [Image.fromarray(255 - image).resize((140, 140)) for image in images]
    read = [classify_picture(reader, picture).digit for picture in large]
    assert (np.array(read) == truth).mean() > plain - 0.12  # these were scanned at 8 × 8


def test_an_answer_says_how_sure_it_is(reading_run: Run) -> None:
    answer = classify_picture(load_predictor(reading_run.path.parent), draw_digit(1))
    assert answer.digit is not None
    assert answer.confidence == pytest.approx(float(answer.probabilities.max()))
    assert answer.runner_up == int(np.argsort(answer.probabilities)[-2])
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert list(answer.steps)[-1] == "what the network sees"


def test_no_digit_is_no_answer(reading_run: Run) -> None:
    blank = Image.new("L", (50, 50), 255)
    answer = classify_picture(load_predictor(reading_run.path.parent), blank)
    assert (answer.digit, answer.confidence, answer.runner_up) == (None, None, None)
    assert answer.note == NO_DIGIT
    assert not answer.probabilities.any()
