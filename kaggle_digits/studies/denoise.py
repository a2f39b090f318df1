"""A5 to A8: noise, a denoising auto-encoder, and a classifier trained on clean images."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError, did_you_mean
from kaggle_digits.data.digits import PIXELS, SIDE, Images
from kaggle_digits.metrics.scores import Score, score_or_raise
from kaggle_digits.models.backend import keras
from kaggle_digits.plots import style
from kaggle_digits.plots.charts import Line, line_chart
from kaggle_digits.plots.digit_grids import first_of_each_class
from kaggle_digits.studies.study import Context, Published, StudyOutput, load_keras_model
from kaggle_digits.training.recipes import MODEL_RECIPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VAL_FRACTION = 1 / 6
PUBLISHED_NOISY = Published(0.89, "89 %")
PUBLISHED_DENOISED = Published(0.94, "94 %: half the errors")
NORMAL, UNIFORM, SALT_AND_PEPPER = NOISES = ("normal", "uniform", "salt-and-pepper")
CURVE_LEVELS = tuple(round(0.1 * step, 1) for step in range(13))
SEARCH_LEVELS = tuple(round(0.01 * step, 2) for step in range(1, 121))
CURVE_ROWS = 4000
HIDDEN = (256, 128, 256)
STEPS, QUICK_STEPS, BATCH_SIZE, LEARNING_RATE = 4000, 500, 128, 1e-3
MIN_ROWS_PER_EPOCH = 4096


def add_noise(images: Images, level: float, seed: int, kind: str = NORMAL) -> Images:
    """Add noise of one of NOISES to (n, 28, 28) uint8 images and clip to 0 to 255.

    ``level`` is the standard deviation of normal or the largest value of uniform noise, as a
    fraction of 255, or the fraction of pixels that salt-and-pepper sets to 0 or 255.
    """
    rng = np.random.default_rng(seed)
    if kind == SALT_AND_PEPPER:
        replaced = rng.random(images.shape) < level
        return np.where(replaced, rng.choice(np.array([0, 255], np.uint8), images.shape), images)
    noise = rng.standard_normal(images.shape, np.float32)
    if kind == UNIFORM:
        noise = 2 * rng.random(images.shape, np.float32) - 1
    return np.clip(np.rint(images + np.float32(255 * level) * noise), 0, 255).astype(np.uint8)


def run(context: Context, output: StudyOutput) -> None:
    """Score a classifier of clean images on noisy images, before and after denoising."""
    kind = context.noise or NORMAL
    if kind not in NOISES:
        hint = did_you_mean(kind, NOISES)
        raise UsageError(f"unknown noise {kind!r}; {hint}one of: {', '.join(NOISES)}")
    noisy_version = partial(add_noise, kind=kind)
    train, labels = context.dataset.train, context.dataset.labels
    fold = context.split(labels, VAL_FRACTION)
    # The noise level is chosen on a seventh of the validation rows; the rest are for measuring.
    level_rows, rows = np.split(fold.val, [len(fold.val) // 7])
    clean, clean_labels = train.images[rows], labels[rows]
    stage = "A7, classifier of clean images"
    result, clean_score = context.fit_and_score(stage, MODEL_RECIPES["dense"], fold)
    classifier = load_keras_model(result)

    def score_images(images: Images, labels: NDArray[np.uint8]) -> Score:
        return score_or_raise(classifier.predict_proba(images), labels)

    level, reason = context.level, "as requested"
    if level is None:
        context.progress("A7: searching the noise level of the publication")

        def distance(level: float) -> float:
            noisy = noisy_version(train.images[level_rows], level, 1)
            score = score_images(noisy, labels[level_rows])
            return abs(score.accuracy - PUBLISHED_NOISY.accuracy)

        level = min(SEARCH_LEVELS, key=distance)
        reason = "the level at which other held-out rows come closest to the published accuracy"
    noise = f"{kind} noise, level {level:g}"
    noisy = noisy_version(clean, level, 2)
    denoise = _train_auto_encoder(context, train.images[fold.train], level, noisy_version)
    denoised = denoise(noisy)
    errors = [np.abs(images.astype(np.int16) - clean).mean() for images in (noisy, denoised)]
    output.add_result("A5", "pixel noise added to the images", "", figures=["three-rows"])
    description = "auto-encoder 784-256-128-256-784, noisy images above denoised ones"
    change = f"{errors[0]:.1f} of 255 before, {errors[1]:.1f} after denoising"
    measured = f"mean absolute error {change}"
    output.add_result("A6", description, measured, n=len(clean), figures=["three-rows"])
    output.add_figure(
        "three-rows",
        "Clean, noisy, denoised",
        "Held-out images, the same images with noise, and the outputs of the auto-encoder.",
        _image_rows({"clean": clean, "noisy": noisy, "denoised": denoised}, clean_labels, noise),
    )
    before, after = (score_images(images, clean_labels) for images in (noisy, denoised))
    description = "classifier of clean images, on noisy images"
    on_clean = f"on clean images {100 * clean_score.accuracy:.2f} %"
    notes = [f"{noise}, {reason}", on_clean, context.differences]
    output.add_accuracy("A7", description, before, PUBLISHED_NOISY, *notes)
    description = "the same classifier on the denoised images"
    wrong = [each.n - each.correct for each in (after, before)]
    notes = [f"{wrong[0]:,} errors, on the noisy images {wrong[1]:,}", context.differences]
    output.add_accuracy("A8", description, after, PUBLISHED_DENOISED, *notes)
    context.progress("A8: other noise levels")
    accuracies: list[list[float]] = [[], []]
    for other in CURVE_LEVELS:
        images = noisy_version(clean[:CURVE_ROWS], other, 3)
        for curve, batch in zip(accuracies, (images, denoise(images)), strict=True):
            curve.append(100 * score_images(batch, clean_labels[:CURVE_ROWS]).accuracy)
    lines = [
        Line(CURVE_LEVELS, accuracies[0], style.VAL_COLOR, "o-", "noisy images"),
        Line(CURVE_LEVELS, accuracies[1], style.TRAIN_COLOR, "s-", "denoised images"),
    ]
    output.add_figure(
        "noise-levels",
        "Accuracy at each noise level",
        "The dashed line is the level at which the auto-encoder was trained.",
        line_chart(lines, "Accuracy by noise level", "noise level", "accuracy (%)", marked_x=level),
    )


def _train_auto_encoder(
    context: Context, images: Images, level: float, noisy_version: Callable[..., Images]
) -> Callable[[Images], Images]:
    """Return a function that denoises (n, 28, 28) uint8 images; noise is new in each epoch."""
    k = keras()
    k.backend.clear_session()
    k.utils.set_random_seed(context.seed)
    pixels = [k.layers.Input((SIDE, SIDE)), k.layers.Rescaling(1 / 255), k.layers.Flatten()]
    hidden = [k.layers.Dense(units, activation="relu") for units in HIDDEN]
    model = k.Sequential([*pixels, *hidden, k.layers.Dense(PIXELS, activation="sigmoid")])
    optimizer = k.optimizers.Adam(LEARNING_RATE)
    model.compile(optimizer, "binary_crossentropy", steps_per_execution=16)
    # A small data set is repeated, each copy with its own noise, to make epochs of useful length.
    images = np.tile(images, (max(1, MIN_ROWS_PER_EPOCH // len(images)), 1, 1))
    targets = images.reshape(len(images), -1).astype(np.float32) / 255
    steps = QUICK_STEPS if context.quick else STEPS
    epochs = math.ceil(steps * BATCH_SIZE / len(images))
    for epoch in range(epochs):
        context.progress(f"A6, auto-encoder: epoch {epoch + 1} of {epochs}", epoch, epochs)
        noisy = noisy_version(images, level, 1000 + epoch)
        model.fit(noisy, targets, batch_size=BATCH_SIZE, verbose=0)

    def denoise(noisy: Images) -> Images:
        output = model.predict(noisy, batch_size=500, verbose=0)
        return np.asarray(np.rint(255 * output), np.uint8).reshape(noisy.shape)

    return denoise


@style.styled
def _image_rows(rows: dict[str, Images], labels: NDArray[np.uint8], noise: str) -> "Figure":
    """Draw the first image of each digit, one row for each version of the images."""
    title = "Noise and denoising by an auto-encoder"
    figure = style.new_figure(9.6, 3.9, title, f"Middle row: {noise}.", squares=True)
    first = first_of_each_class(labels)
    axes = figure.subplots()
    style.show_digit(axes, np.vstack([np.hstack(list(images[first])) for images in rows.values()]))
    axes.set_yticks(SIDE * (np.arange(len(rows)) + 0.5), rows)
    return figure
