"""E: scikit-learn's own 1,797 digits of 8 × 8, the first thousand to learn from."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import style
from kaggle_digits.studies.study import Finding, Panel, Result, Setting, Study, simple_score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINED_ON, SHOWN = 1000, 50
PUBLISHED = 0.9159


def _run(setting: Setting) -> Result:
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = found.images, found.target
    yield Panel(
        "sixteen-digits",
        "The data: 8 × 8 pixels, 17 shades",
        "The first sixteen of scikit-learn's digits, each under its label. They come from other "
        "people's hands than the competition's and are far smaller.",
        _sixteen(images[:16], labels[:16]),
    )
    yield Finding("E1", "look at sixteen digits", "–", "picture: sixteen-digits")
    pixels, truth = images.reshape(len(images), -1), labels[TRAINED_ON:]
    seeds = range(1, 4 if setting.quick else 11)
    models: list[Any] = []
    for seed in seeds:
        words = f"training 15 hidden units by gradient descent, random_state {seed}"
        setting.say(words, len(models), len(seeds))
        models.append(_fitted(pixels[:TRAINED_ON], labels[:TRAINED_ON], seed))
    answers = [model.predict(pixels[TRAINED_ON:]) for model in models]
    rights = [int((found == truth).sum()) for found in answers]
    model, right, read = models[0], rights[0], answers[0]
    score = simple_score(right, len(truth))
    to_the_digit = round(score.accuracy, 4) == PUBLISHED
    yield Finding(
        "E2",
        "15 hidden units, logistic, SGD at 0.1, alpha 1e-4, random_state 1",
        f"{PUBLISHED}",
        f"{score.accuracy:.4f} ({score.ci95[0]:.4f}–{score.ci95[1]:.4f})",
        score.n,
        score.accuracy >= PUBLISHED or score.ci95[1] >= PUBLISHED,
        f"{right} of {score.n} right: "
        + (
            "the published figure to the digit"
            if to_the_digit
            else "not the published figure to the digit, which one image more or less would change"
        )
        + f"; random_state 1 to {seeds[-1]} give {min(rights)} to {max(rights)}",
    )
    agree = int((read[:SHOWN] == truth[:SHOWN]).sum())
    yield Finding(
        "E3",
        f"the first {SHOWN} predictions beside the labels",
        "–",
        f"{agree} of {SHOWN} agree",
        SHOWN,
        why=f"read {_joined(read)}, labelled {_joined(truth)}",
    )
    yield Panel(
        "learning-curve",
        "Loss falls while it learns",
        "The log loss on the thousand training digits after each pass over them. Plain gradient "
        "descent stops by itself when ten passes in a row gain too little.",
        _loss(model.loss_curve_),
    )


def _fitted(pixels: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (15,),
        activation="logistic",
        alpha=1e-4,
        solver="sgd",
        tol=1e-4,
        learning_rate_init=0.1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*converge.*")
        return model.fit(pixels, labels)


def _joined(digits: NDArray[Any]) -> str:
    return "".join(str(digit) for digit in digits[:SHOWN])


@style.styled
def _sixteen(images: NDArray[np.float64], labels: NDArray[np.int64]) -> Figure:
    figure = style.new_figure(5.6, 6.6, "Sixteen of scikit-learn's digits")
    for axes, image, label in zip(figure.subplots(4, 4).flat, images, labels, strict=True):
        axes.imshow(image, cmap=style.DIGIT_CMAP, vmin=0, vmax=16)
        axes.set_title(str(label), loc="center")
        style.hide_ticks(axes)
    return figure


@style.styled
def _loss(losses: list[float]) -> Figure:
    figure = style.new_figure(7, 4.2, "Training loss by pass over the data")
    axes = figure.subplots()
    axes.plot(np.arange(1, len(losses) + 1), losses, color=style.TRAIN_COLOR, linewidth=1.8)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="passes over the training digits", ylabel="log loss (nats)")
    axes.grid()
    return figure


STUDY = Study(
    "scikit",
    "A small network on scikit-learn's own digits",
    "E. Handwritten digits with scikit-learn",
    ("E1", "E2", "E3"),
    _run,
    cost=3,
)
