"""D: ten hidden units on 5,000 images of 20 × 20 pixels, and the effect of regularization."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kaggle_digits.plots import digit_grids, style
from kaggle_digits.plots.charts import Line, plot_lines
from kaggle_digits.studies.study import Context, Published, StudyOutput, fit_mlp, score_labels

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
    output.add_result("D1", "a random selection of 100 digits", "", figures=["hundred-digits"])

    fold = context.split(labels, VAL_FRACTION, RANDOM_STATE)
    train_pixels, train_labels = pixels[fold.train], labels[fold.train]
    test_pixels, test_labels = pixels[fold.val], labels[fold.val]
    iterations = QUICK_ITERATIONS if context.quick else ITERATIONS

    def fit(hidden: int = HIDDEN, alpha: float = LAMBDA, max_iter: int = iterations) -> Any:
        """Fit a network; scikit-learn's alpha is the published λ: both add λ / 2n ∑ w²."""
        context.progress(f"{hidden} hidden units, λ = {alpha:g}, at most {max_iter} iterations")
        settings = {"solver": "lbfgs", "alpha": alpha, "max_iter": max_iter}
        return fit_mlp(train_pixels, train_labels, hidden, random_state=RANDOM_STATE, **settings)

    model = fit()
    predictions = model.predict(test_pixels)
    note = (
        "L-BFGS instead of conjugate gradients, softmax instead of ten sigmoids, digits of "
        "train.csv cropped to 20 × 20"
    )
    for part, score, published in (
        ("training", score_labels(model.predict(train_pixels), train_labels), PUBLISHED_TRAIN),
        ("held-out", score_labels(predictions, test_labels), PUBLISHED_TEST),
    ):
        description = f"{HIDDEN} hidden units, λ = {LAMBDA:g}: {part} rows"
        output.add_accuracy("D2", description, score, published, note, context.differences)

    def trial(value: float, **settings: Any) -> _Trial:
        model = fit(**settings)
        train_accuracy = model.score(train_pixels, train_labels)
        return _Trial(value, train_accuracy, model.score(test_pixels, test_labels))

    step = 3 if context.quick else 1
    sweeps = {
        "λ": [trial(value, alpha=value) for value in LAMBDAS[::step]],
        "hidden units": [trial(value, hidden=value) for value in UNITS[::step]],
        "iterations": [trial(value, max_iter=value) for value in ITERATION_LIMITS[::step]],
    }
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
        "the best λ is chosen on the rows it is scored on, which makes its accuracy too high",
        published="low λ over-fits, too high λ hurts both",
        n=len(test_labels),
        reached=None if context.quick else overfits and underfits,
    )
    output.add_figure(
        "sweeps",
        "Over-fitting and under-fitting",
        "If the lines diverge, the network over-fits; if both fall, λ is too high.",
        _sweep_figure(sweeps, iterations),
    )
    chosen = np.random.default_rng(context.seed).choice(len(predictions), 9, replace=False)
    predicted, chosen_labels = predictions[chosen], test_labels[chosen]
    captions = [
        f"predicted {digit}" if digit == label else f"predicted {digit}, label {label}"
        for digit, label in zip(predicted, chosen_labels, strict=True)
    ]
    shown, wrong = cropped[fold.val][chosen], predicted != chosen_labels
    title = "Predictions for nine held-out digits"
    output.add_figure(
        "nine-answers",
        "Nine random digits and their predictions",
        "Random held-out rows; errors are orange.",
        digit_grids.digit_grid(shown, captions, title, highlighted=wrong),
    )
    output.add_result("D4", "random digits with their predictions", "", figures=["nine-answers"])


@style.styled
def _sweep_figure(sweeps: dict[str, list[_Trial]], iterations: int) -> "Figure":
    fixed = f"{HIDDEN} hidden units, λ = {LAMBDA:g}, {iterations} iterations of L-BFGS"
    note = f"Settings that are not varied: {fixed}."
    figure = style.new_figure(11, 4.4, "Effect of each setting", note)
    grid = figure.subplots(1, 3, sharey=True)
    for axes, (name, trials) in zip(grid, sweeps.items(), strict=True):
        x = np.arange(len(trials))
        train = [100 * trial.train for trial in trials]
        test = [100 * trial.test for trial in trials]
        first = axes is grid[0]
        lines = [
            Line(x, train, style.TRAIN_COLOR, "o-", "training rows" if first else ""),
            Line(x, test, style.VAL_COLOR, "o-", "held-out rows" if first else ""),
        ]
        plot_lines(axes, lines, xlabel=name, ylabel="accuracy (%)" if first else "")
        axes.set_xticks(x, [f"{trial.value:g}" for trial in trials])
    return figure
