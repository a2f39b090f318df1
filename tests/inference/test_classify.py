"""Classification of a picture."""

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


def test_enlarged_pictures_are_classified_nearly_as_accurately(
    trained_run: Run, sample: Path
) -> None:
    predictor, dataset = load_predictor(trained_run.path.parent), load(sample)
    rows = predicted_rows(trained_run.oof())[:100]
    images, labels = dataset.train.images[rows], dataset.labels[rows]
    accuracy = (predictor.predict_proba(images).argmax(axis=1) == labels).mean()
    large = [Image.fromarray(255 - image).resize((140, 140)) for image in images]
    digits = [classify_picture(predictor, picture).digit for picture in large]
    assert (np.array(digits) == labels).mean() > accuracy - 0.12  # the sample was scanned at 8 × 8


def test_prediction_has_confidence_and_runner_up(trained_run: Run) -> None:
    prediction = classify_picture(load_predictor(trained_run.path.parent), draw_digit(1))
    assert prediction.digit is not None
    assert prediction.confidence == pytest.approx(float(prediction.probabilities.max()))
    assert prediction.runner_up == int(np.argsort(prediction.probabilities)[-2])
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert list(prediction.steps)[-1] == "what the network sees"


def test_empty_picture_has_no_digit(trained_run: Run) -> None:
    blank = Image.new("L", (50, 50), 255)
    prediction = classify_picture(load_predictor(trained_run.path.parent), blank)
    assert (prediction.digit, prediction.confidence, prediction.runner_up) == (None, None, None)
    assert prediction.note == NO_DIGIT
    assert not prediction.probabilities.any()
