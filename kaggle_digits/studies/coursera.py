"""D: ten hidden units on 5,000 images of 20 × 20 pixels, and the effect of regularization."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import digit_grids, style
from kaggle_digits.studies.figures import Line, digit_grid, plot_lines
from kaggle_digits.studies.fit_helpers import train_val_split
from kaggle_digits.studies.study import Context, Published, Study, StudyOutput, score_of_counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_ROWS, BORDER, VAL_FRACTION, RANDOM_STATE = 5000, 4, 0.25, 0
HIDDEN, LAMBDA, ITERATIONS = 10, 3.0, 200
PUBLISHED_TRAIN, PUBLISHED_TEST = Published(0.96, "96 %"), Published(0.92, "92 %")
LAMBDAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
UNITS = (2, 5, 10, 25, 50, 100)
ITERATION_LIMITS = (10, 25, 50, 100, 200, 400)
# With quick: enough iterations for a large λ to give another result than a small one.
QUICK_ITERATIONS = 40


class _Data(NamedTuple):
    train_pixels: NDArray[np.float64]
    train_labels: NDArray[np.uint8]
    test_pixels: NDArray[np.float64]
    test_labels: NDArray[np.uint8]


class _Trial(NamedTuple):
    """The value of the varied setting and the accuracies, 0 to 1."""

    value: float
    train: float
    test: float


def run(context: Context, output: StudyOutput) -> None:
    """Train the published network and vary λ, the hidden units and the iterations."""
    rows = np.random.default_rng(context.seed).permutation(len(context.dataset.train))[:N_ROWS]
    images, labels = context.dataset.train.images[rows], context.dataset.labels[rows]
    cropped = images[:, BORDER:-BORDER, BORDER:-BORDER]
    pixels = cropped.reshape(len(rows), -1) / 255.0
    output.add_figure(
        "hundred-digits",
        "A hundred random digits",
        "The digits of this study, still with their empty border of four pixels.",
        digit_grids.random_digits(images, labels, context.seed),
    )
    output.add_result("D1", "a random selection of 100 digits", "figure: hundred-digits")
    fold = train_val_split(labels, VAL_FRACTION, RANDOM_STATE)
    data = _Data(pixels[fold.train], labels[fold.train], pixels[fold.val], labels[fold.val])
    iterations = QUICK_ITERATIONS if context.quick else ITERATIONS

    name = f"{HIDDEN} hidden units, λ = {LAMBDA:g}"
    context.progress(f"{name}, at most {iterations} iterations")
    model = _fit(data, HIDDEN, LAMBDA, iterations)
    predictions = model.predict(data.test_pixels)
    for part, published, predicted, part_labels in (
        ("training", PUBLISHED_TRAIN, model.predict(data.train_pixels), data.train_labels),
        ("held-out", PUBLISHED_TEST, predictions, data.test_labels),
    ):
        output.add_accuracy(
            "D2",
            f"{name}: {part} rows",
            score_of_counts(int((predicted == part_labels).sum()), len(part_labels)),
            published,
            "L-BFGS instead of conjugate gradients, softmax instead of ten sigmoids, the "
            "competition's digits cropped to 20 × 20",
        )

    sweeps = _sweep(context, data, iterations)
    best = max(sweeps["λ"], key=lambda trial: trial.test)
    lowest, highest = sweeps["λ"][0], sweeps["λ"][-1]
    overfits = lowest.train - lowest.test > best.train - best.test
    underfits = highest.test < best.test
    output.add_result(
        "D3",
        "λ, hidden units and iterations varied",
        f"λ = 0: {100 * lowest.train:.1f} % of training, {100 * lowest.test:.1f} % of held-out "
        f"rows; best λ = {best.value:g}: {100 * best.test:.1f} %; λ = {highest.value:g}: "
        f"{100 * highest.train:.1f} % and {100 * highest.test:.1f} %",
        published="low λ over-fits, too high λ hurts both",
        n=len(data.test_labels),
        reached=None if context.quick else overfits and underfits,
        note="the best λ is chosen on the rows it is scored on, which makes its accuracy too high",
    )
    output.add_figure(
        "sweeps",
        "Over-fitting and under-fitting",
        "Each point is one training. Where the lines diverge, the network over-fits; where both "
        "fall, it is regularized too strongly.",
        _sweep_figure(sweeps, iterations),
    )
    chosen = np.random.default_rng(context.seed).choice(len(predictions), 9, replace=False)
    predicted, chosen_labels = predictions[chosen], data.test_labels[chosen]
    output.add_figure(
        "nine-answers",
        "Nine random digits and their predictions",
        "Random held-out rows; errors are orange.",
        digit_grid(
            cropped[fold.val][chosen],
            [
                f"predicted {digit}" if digit == label else f"predicted {digit}, label {label}"
                for digit, label in zip(predicted, chosen_labels, strict=True)
            ],
            "Predictions for nine held-out digits",
            highlighted=predicted != chosen_labels,
        ),
    )
    output.add_result("D4", "random digits with their predictions", "figure: nine-answers")


def _sweep(context: Context, data: _Data, iterations: int) -> dict[str, list[_Trial]]:
    """Vary one setting at a time."""
    step = 3 if context.quick else 1

    def trial(value: float, hidden: int, alpha: float, max_iter: int) -> _Trial:
        context.progress(f"{hidden} hidden units, λ = {alpha:g}, {max_iter} iterations")
        model = _fit(data, hidden, alpha, max_iter)
        return _Trial(
            value,
            model.score(data.train_pixels, data.train_labels),
            model.score(data.test_pixels, data.test_labels),
        )

    return {
        "λ": [trial(value, HIDDEN, value, iterations) for value in LAMBDAS[::step]],
        "hidden units": [trial(value, value, LAMBDA, iterations) for value in UNITS[::step]],
        "iterations": [trial(value, HIDDEN, LAMBDA, value) for value in ITERATION_LIMITS[::step]],
    }


def _fit(data: _Data, hidden: int, alpha: float, max_iter: int) -> Any:
    """Fit scikit-learn's MLP, whose alpha is the published λ: both add λ / 2n ∑ w²."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (hidden,),
        activation="logistic",
        solver="lbfgs",
        alpha=alpha,
        max_iter=max_iter,
        random_state=RANDOM_STATE,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(converge|CONVERGENCE).*")
        return model.fit(data.train_pixels, data.train_labels)


@style.styled
def _sweep_figure(sweeps: dict[str, list[_Trial]], iterations: int) -> Figure:
    figure = style.new_figure(
        11,
        4.4,
        "Effect of each setting",
        f"Settings that are not varied: {HIDDEN} hidden units, λ = {LAMBDA:g}, {iterations} "
        "iterations of L-BFGS.",
    )
    grid = figure.subplots(1, 3, sharey=True)
    for axes, (name, trials) in zip(grid, sweeps.items(), strict=True):
        x = np.arange(len(trials))
        train = [100 * trial.train for trial in trials]
        test = [100 * trial.test for trial in trials]
        first = axes is grid[0]
        plot_lines(
            axes,
            [
                Line(x, train, style.TRAIN_COLOR, "o-", "training rows" if first else ""),
                Line(x, test, style.VAL_COLOR, "o-", "held-out rows" if first else ""),
            ],
            xlabel=name,
            ylabel="accuracy (%)" if first else "",
        )
        axes.set_xticks(x, [f"{trial.value:g}" for trial in trials])
    return figure


STUDY = Study(
    "coursera",
    "Ten hidden units and regularization",
    "D. A neural network in plain Python on the Coursera subset",
    ("D1", "D2", "D3", "D4"),
    run,
    cost=125,
)
