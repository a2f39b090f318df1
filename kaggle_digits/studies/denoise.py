"""A5 to A8: noise, an auto-encoder that takes it away, and a classifier that knew clean images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.digits import PIXELS, SIDE
from kaggle_digits.metrics.scores import Score, score
from kaggle_digits.models.backend import keras
from kaggle_digits.plots import style
from kaggle_digits.studies.fit_helpers import fit, loaded, random_part
from kaggle_digits.studies.study import Finding, Panel, Result, Setting, Study, share_finding
from kaggle_digits.training.recipes import MODEL_RECIPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Images = NDArray[np.uint8]
HELD_OUT = 1 / 6
NOISY, DENOISED = 0.89, 0.94
NORMAL, UNIFORM, PEPPER = NOISES = ("normal", "uniform", "salt-and-pepper")
# How strong; see add_noise.
LEVELS = tuple(round(0.1 * step, 1) for step in range(13))
FINE_LEVELS = tuple(round(0.01 * step, 2) for step in range(1, 121))
HIDDEN = (256, 128, 256)
STEPS, QUICK_STEPS, BATCH, RATE = 4000, 500, 128, 1e-3
SHOWN, MEASURED, FEWEST = 10, 4000, 4096


def add_noise(images: Images, level: float, seed: int, kind: str = NORMAL) -> Images:
    """Noise on every pixel, cut at no ink and full ink.

    Args:
        images: (n, 28, 28) uint8.
        level: of ``normal`` noise the standard deviation, of ``uniform`` the most, as shares of
            full ink; of ``salt-and-pepper`` the share of pixels that become no ink or full ink.
        seed: the same seed adds the same noise.
        kind: one of NOISES.
    """
    rng = np.random.default_rng(seed)
    if kind == PEPPER:
        hit = rng.random(images.shape) < level
        return np.where(hit, rng.choice(np.array([0, 255], np.uint8), images.shape), images)
    shape = images.shape
    noise = rng.standard_normal(shape, np.float32)
    if kind == UNIFORM:
        noise = 2 * rng.random(shape, np.float32) - 1
    return np.clip(np.rint(images + np.float32(255 * level) * noise), 0, 255).astype(np.uint8)


def _run(setting: Setting) -> Result:
    train, labels = setting.dataset.train, setting.dataset.labels
    add = partial(add_noise, kind=_kind(setting))
    part = random_part(labels, HELD_OUT, setting.seed, stratify=True)
    # The level is found on a seventh of what is held out, all is measured on the rest.
    some, rest = np.split(part.val, [len(part.val) // 7])
    held, truth = train.images[rest], labels[rest]
    member, clean = fit(setting, "A7, the classifier of clean images", MODEL_RECIPES["dense"], part)
    classifier = loaded(member)
    quick = "; fewer epochs: --quick" if setting.quick else ""

    level, chosen = setting.level, "as asked for"
    if level is None:
        setting.say("A7: how much noise brings it to what was published")

        def far_off(level: float) -> float:
            noisy = add(train.images[some], level, 1)
            return abs(_score(classifier, noisy, labels[some]).accuracy - NOISY)

        level = min(FINE_LEVELS, key=far_off)
        chosen = "the level at which other held-out rows come nearest to the published figure"
    noisy = add(held, level, 2)
    auto_encoder = _trained(setting, train.images[part.train], level, add)
    cleaned = auto_encoder(noisy)
    yield Finding("A5", "pixel noise added to the images", "–", "picture: three-rows")
    yield Finding(
        "A6",
        "auto-encoder 784-256-128-256-784, noisy above cleaned",
        "–",
        f"picture: three-rows; mean error of a pixel {_error(noisy, held):.1f} before, "
        f"{_error(cleaned, held):.1f} after, of 255",
        len(held),
    )
    yield Panel(
        "three-rows",
        "Clean, noisy, cleaned",
        "The first held-out image of each digit; below it with noise, as the auto-encoder sees "
        "it, and below that what it makes of it. It never saw these images.",
        _three_rows(held, noisy, cleaned, truth, f"{_kind(setting)} noise of {level:g}"),
    )
    before, after = _score(classifier, noisy, truth), _score(classifier, cleaned, truth)
    why = (
        f"{_kind(setting)} noise of {level:g}, {chosen}; "
        f"on clean images {100 * clean.accuracy:.2f} %{quick}"
    )
    yield share_finding(
        "A7", "trained on clean images, on noisy ones", NOISY, before, said="89 %", why=why
    )
    fewer = (1 - before.accuracy) / max(1 - after.accuracy, 1e-9)
    yield share_finding(
        "A8",
        "the same classifier on the noisy images after denoising",
        DENOISED,
        after,
        said="94 %: half the errors",
        why=f"{fewer:.1f} times fewer errors than without denoising{quick}",
    )
    setting.say("A8: other levels of noise")
    curve = []
    for other in LEVELS:
        worse = add(held[:MEASURED], other, 3)
        scores = (
            _score(classifier, images, truth[:MEASURED]).accuracy
            for images in (worse, auto_encoder(worse))
        )
        curve.append((other, *scores))
    yield Panel(
        "noise-levels",
        "How much noise, how much help",
        "Accuracy of the classifier that learnt from clean images, at each level of noise, with "
        "and without the auto-encoder in between. It learnt one level, the dashed one.",
        _levels(curve, level),
    )


def _kind(setting: Setting) -> str:
    kind = setting.noise or NORMAL
    if kind not in NOISES:
        raise UsageError(f"--noise {kind} is unknown; one of: {', '.join(NOISES)}")
    return kind


def _trained(setting: Setting, images: Images, level: float, add: Callable[..., Images]) -> Any:
    """A function that takes the noise from (n, 28, 28) uint8 images; other noise each epoch."""
    k = keras()
    k.backend.clear_session()
    k.utils.set_random_seed(setting.seed)
    layers = [k.layers.Dense(units, activation="relu") for units in HIDDEN]
    model = k.Sequential(
        [
            k.layers.Input((SIDE, SIDE)),
            k.layers.Rescaling(1 / 255),
            k.layers.Flatten(),
            *layers,
            k.layers.Dense(PIXELS, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=k.optimizers.Adam(RATE), loss="binary_crossentropy", steps_per_execution=16
    )
    # Few images are shown several times, each with other noise, before noise is drawn anew.
    images = np.tile(images, (max(1, FEWEST // len(images)), 1, 1))
    targets = images.reshape(len(images), -1).astype(np.float32) / 255
    steps = QUICK_STEPS if setting.quick else STEPS
    epochs = math.ceil(steps * BATCH / len(images))
    for epoch in range(epochs):
        setting.say(f"A6, the auto-encoder: epoch {epoch + 1} of {epochs}", epoch, epochs)
        noisy = add(images, level, 1000 + epoch)
        model.fit(noisy, targets, batch_size=BATCH, verbose=0)

    def clean(noisy: Images) -> Images:
        answer = model.predict(noisy, batch_size=500, verbose=0)
        pixels: Images = np.rint(255 * answer).astype(np.uint8)
        return pixels.reshape(noisy.shape)

    return clean


def _score(classifier: Any, images: Images, labels: NDArray[np.uint8]) -> Score:
    found = score(classifier.predict_proba(images), labels)
    assert found is not None
    return found


def _error(images: Images, clean: Images) -> float:
    return float(np.abs(images.astype(np.int16) - clean).mean())


@style.styled
def _three_rows(
    clean: Images, noisy: Images, cleaned: Images, labels: NDArray[np.uint8], noise: str
) -> Figure:
    figure = style.new_figure(
        9.6,
        3.9,
        "Noise, and what an auto-encoder makes of it",
        f"In between: {noise}, as a share of full ink or, of salt and pepper, of pixels.",
        squares=True,
    )
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in np.unique(labels)][:SHOWN]
    grid = figure.subplots(3, len(first), squeeze=False)
    for row, (name, images) in zip(
        grid, (("clean", clean), ("noisy", noisy), ("cleaned", cleaned)), strict=True
    ):
        for axes, place in zip(row, first, strict=True):
            axes.imshow(images[place], cmap=style.DIGIT_CMAP, vmin=0, vmax=255)
            style.hide_ticks(axes)
        row[0].set_ylabel(name)
    return figure


@style.styled
def _levels(curve: list[tuple[float, ...]], learnt: float) -> Figure:
    figure = style.new_figure(7.6, 4.6, "Accuracy against noise")
    axes = figure.subplots()
    levels, noisy, cleaned = np.array(curve).T
    axes.axvline(learnt, color=style.MUTED_COLOR, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(levels, 100 * noisy, "o-", color=style.VAL_COLOR, label="noisy images")
    axes.plot(levels, 100 * cleaned, "s-", color=style.TRAIN_COLOR, label="after denoising")
    axes.set(xlabel="strength of the noise", ylabel="read rightly (%)")
    axes.grid()
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor=style.BACKGROUND)
    return figure


STUDY = Study(
    "denoise",
    "Noise, and an auto-encoder that takes it away",
    "A. Beyond the recognition of handwritten digits",
    ("A5", "A6", "A7", "A8"),
    _run,
    cost=90,
    options=("noise", "level"),
)
