"""Telling digits from other drawings."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.imaging.loading import PreparedPicture, prepare
from kaggle_digits.inference.not_digit import (
    MAX_SCORE,
    SYMMETRIC,
    assess,
    is_not_digit,
    mirror,
    not_digit_scores,
)
from kaggle_digits.inference.predictor import classify_picture, classify_prepared, load_predictor
from kaggle_digits.runs.run import Run


def scribble(seed: int) -> Image.Image:
    picture = Image.new("L", (160, 160), 255)
    points = np.random.default_rng(seed).uniform(20, 140, (9, 2))
    ImageDraw.Draw(picture).line([tuple(point) for point in points], fill=0, width=7)
    return picture


def test_digits_are_accepted_and_scribbles_are_not(dataset: Dataset) -> None:
    scores = not_digit_scores(dataset.train.images)
    assert scores.shape == (len(dataset.train),)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (scores > MAX_SCORE).mean() < 0.03  # the sample was scanned at 8 × 8
    scribbles = np.stack([prepare(scribble(seed)).image for seed in range(20)])
    assert (not_digit_scores(scribbles) > MAX_SCORE).mean() >= 0.6
    assert not_digit_scores(scribbles[:0]).shape == (0,)


def test_mirrored_digits(trained_run: Run, dataset: Dataset) -> None:
    model = load_predictor(trained_run.path.parent)
    rows = np.flatnonzero(~np.isin(dataset.labels, SYMMETRIC))[:200]
    images = dataset.train.images[rows]
    mirrored = images[:, :, ::-1]
    refused = mirrored[not_digit_scores(mirrored) > MAX_SCORE]
    assert sum(assess(model, image)[1] for image in refused) > 0.5 * len(refused) > 10
    noted = [assess(model, image)[1] for image in mirror(images)]
    assert np.mean(noted) > 0.8
    assert np.mean([assess(model, image)[1] for image in images]) <= 0.02
    prediction = classify_prepared(model, PreparedPicture(mirror(images)[noted.index(True)]))
    assert (prediction.mirrored, prediction.not_a_digit) == (True, True)


def test_an_unsure_prediction_needs_a_lower_score() -> None:
    assert [is_not_digit(0.98, confidence) for confidence in (0.99, 0.5)] == [False, True]
    assert [is_not_digit(score, 0.99) for score in (0.5, 1.0)] == [False, True]


def test_prediction_says_what_is_not_a_digit(trained_run: Run) -> None:
    model = load_predictor(trained_run.path.parent)
    prediction = classify_picture(model, scribble(0))
    assert prediction.digit is not None, "the best guess stays"
    assert prediction.not_a_digit
    assert prediction.not_a_digit_score is not None
    assert prediction.not_a_digit_score > MAX_SCORE
    blank = classify_picture(model, Image.new("L", (60, 60), 255))
    assert (blank.not_a_digit_score, blank.not_a_digit) == (None, False)
