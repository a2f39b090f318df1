"""D: ten hidden units on 5,000 images of 20 × 20, and what regularisation does to them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import digit_grids, style
from kaggle_digits.studies.fit_helpers import random_part
from kaggle_digits.studies.study import (
    Finding,
    Panel,
    Result,
    Setting,
    Study,
    share_finding,
    simple_score,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, BORDER, HELD_OUT, STATE = 5000, 4, 0.25, 0
HIDDEN, LAMBDA, ITERATIONS = 10, 3.0, 200
PUBLISHED_TRAIN, PUBLISHED_TEST = 0.96, 0.92
LAMBDAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
UNITS = (2, 5, 10, 25, 50, 100)
STEPS = (10, 25, 50, 100, 200, 400)
# Of the trial with few units, iterations enough for a large λ to differ from a small one.
QUICK_ITERATIONS = 40


class _Trial(NamedTuple):
    """A setting and what it gives, shares right of the training and of the held-out rows."""

    value: float
    train: float
    test: float


def _run(setting: Setting) -> Result:
    rows = np.random.default_rng(setting.seed).permutation(len(setting.dataset.train))[:ROWS]
    images, labels = setting.dataset.train.images[rows], setting.dataset.labels[rows]
    middle = images[:, BORDER:-BORDER, BORDER:-BORDER]
    pixels = middle.reshape(len(rows), -1) / 255.0
    yield Panel(
        "hundred-digits",
        "A random hundred of them",
        "The same digits with the empty border of four pixels still around them.",
        digit_grids.random_digits(images, labels, setting.seed),
    )
    yield Finding("D1", "a random selection of 100 digits", "–", "picture: hundred-digits")
    part = random_part(labels, HELD_OUT, STATE)
    data = (pixels[part.train], labels[part.train], pixels[part.val], labels[part.val])
    most = QUICK_ITERATIONS if setting.quick else ITERATIONS

    setting.say(f"{HIDDEN} hidden units, λ = {LAMBDA:g}, at most {most} iterations")
    model = _fitted(data, HIDDEN, LAMBDA, most)
    answers = model.predict(data[2])
    trained = simple_score(int((model.predict(data[0]) == data[1]).sum()), len(data[1]))
    tested = simple_score(int((answers == data[3]).sum()), len(data[3]))
    why = (
        "L-BFGS instead of conjugate gradients, softmax instead of ten sigmoids, the "
        "competition's digits cut to 20 × 20"
    )
    name = f"{HIDDEN} hidden units, λ = {LAMBDA:g}"
    for experiment, published, score in (
        (f"{name}: training rows", PUBLISHED_TRAIN, trained),
        (f"{name}: held-out rows", PUBLISHED_TEST, tested),
    ):
        words = f"{100 * published:.0f} %"
        yield share_finding("D2", experiment, published, score, said=words, why=why)

    trials = {key: list(found) for key, found in _swept(setting, data, most)}
    best = max(trials["λ"], key=lambda trial: trial.test)
    free, strict = trials["λ"][0], trials["λ"][-1]
    yield Finding(
        "D3",
        "λ, hidden units and iterations varied",
        "low λ over-fits, too high λ hurts both",
        f"λ = 0: {100 * free.train:.1f} % of training, {100 * free.test:.1f} % of held-out rows; "
        f"best λ = {best.value:g}: {100 * best.test:.1f} %; λ = {strict.value:g}: "
        f"{100 * strict.train:.1f} % and {100 * strict.test:.1f} %",
        len(data[3]),
        None
        if setting.quick
        else free.train - free.test > best.train - best.test and strict.test < best.test,
        "the best λ is chosen on the rows it is measured on, so its figure is a little too high",
    )
    yield Panel(
        "sweeps",
        "Too free, too strict",
        "Each point is one training. Where the two lines part, the network knows its training "
        "rows by heart (over-fitting); where both fall, it is held back too much.",
        _sweeps(trials, most),
    )
    chosen = np.random.default_rng(setting.seed).choice(len(answers), 9, replace=False)
    yield Panel(
        "nine-answers",
        "Nine random digits and what was read",
        "Drawn from the held-out rows by chance; orange: read wrongly.",
        _nine(middle[part.val][chosen], answers[chosen], data[3][chosen]),
    )
    yield Finding("D4", "random digits with the prediction", "–", "picture: nine-answers")


def _swept(
    setting: Setting, data: tuple[NDArray[Any], ...], most: int
) -> Iterator[tuple[str, list[_Trial]]]:
    every = 3 if setting.quick else 1

    def trial(value: float, hidden: int, strength: float, iterations: int) -> _Trial:
        setting.say(f"{hidden} hidden units, λ = {strength:g}, {iterations} iterations")
        model = _fitted(data, hidden, strength, iterations)
        return _Trial(value, model.score(data[0], data[1]), model.score(data[2], data[3]))

    yield "λ", [trial(value, HIDDEN, value, most) for value in LAMBDAS[::every]]
    yield "hidden units", [trial(value, value, LAMBDA, most) for value in UNITS[::every]]
    yield "iterations", [trial(value, HIDDEN, LAMBDA, value) for value in STEPS[::every]]


def _fitted(data: tuple[NDArray[Any], ...], hidden: int, strength: float, iterations: int) -> Any:
    """scikit-learn's alpha is the write-up's λ: both add λ / 2n ∑ w²."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (hidden,),
        activation="logistic",
        solver="lbfgs",
        alpha=strength,
        max_iter=iterations,
        random_state=STATE,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(converge|CONVERGENCE).*")
        return model.fit(data[0], data[1])


@style.styled
def _sweeps(trials: dict[str, list[_Trial]], most: int) -> Figure:
    figure = style.new_figure(
        11,
        4.4,
        "What each setting does",
        f"Where not varied: {HIDDEN} hidden units, λ = {LAMBDA:g}, {most} iterations of L-BFGS.",
    )
    for axes, (name, found) in zip(figure.subplots(1, 3, sharey=True), trials.items(), strict=True):
        places = np.arange(len(found))
        for values, label, colour in (
            ([item.train for item in found], "training rows", style.TRAIN_COLOR),
            ([item.test for item in found], "held-out rows", style.VAL_COLOR),
        ):
            axes.plot(
                places, 100 * np.array(values), "o-", color=colour, label=label, linewidth=1.8
            )
        axes.set_xticks(places, [f"{item.value:g}" for item in found])
        axes.set(xlabel=name)
        axes.grid()
    figure.axes[0].set(ylabel="read rightly (%)")
    figure.axes[0].legend(
        loc="lower left", frameon=True, framealpha=0.9, edgecolor=style.BACKGROUND
    )
    return figure


@style.styled
def _nine(images: NDArray[np.uint8], answers: NDArray[Any], truth: NDArray[np.uint8]) -> Figure:
    figure = style.new_figure(5.6, 6.4, "Nine held-out digits, read by the network")
    for axes, image, answer, label in zip(
        figure.subplots(3, 3).flat, images, answers, truth, strict=True
    ):
        axes.imshow(image, cmap=style.DIGIT_CMAP, vmin=0, vmax=255)
        wrong = answer != label
        words = f"read {answer}, is {label}" if wrong else f"read {answer}"
        axes.set_title(words, loc="center", color=style.VAL_COLOR if wrong else style.TEXT_COLOR)
        style.hide_ticks(axes)
    return figure


STUDY = Study(
    "coursera",
    "Ten hidden units, and how regularisation holds them",
    "D. A neural network in plain Python on the Coursera subset",
    ("D1", "D2", "D3", "D4"),
    _run,
    cost=125,
)
