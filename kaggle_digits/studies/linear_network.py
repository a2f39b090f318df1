"""B: a linear model against a neural network on 20,000 rows, and their weights as images."""

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.data.splits import FoldIndices, Rows
from kaggle_digits.plots import digit_grids, style
from kaggle_digits.plots.charts import Line, line_chart
from kaggle_digits.studies.study import Context, Published, StudyOutput
from kaggle_digits.training.fold import FoldResult
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_ROWS, VAL_FRACTION = 20_000, 0.2
PUBLISHED = Published(0.95, "0.95 or more")
PIXEL = 406  # row 14, column 14: the middle of the image
NETWORK = MODEL_RECIPES["dense"].with_changes(widths=(128,), epochs=15)
DROPOUT_RATES = (0.0, 0.3)
# Units, learning rate, dropout.
SEARCH_GRID = tuple(product((64, 256), (1e-3, 4e-3), DROPOUT_RATES))
FILTER_UNITS, FILTER_EPOCHS = 24, (1, 5, 25)
FILTERS = NETWORK.with_changes(widths=(FILTER_UNITS,), dropout=0.0, l2=5e-4, schedule="constant")


def run(context: Context, output: StudyOutput) -> None:
    """Compare the linear model with a network found by a small grid search."""
    train, labels = context.dataset.train, context.dataset.labels
    rows = np.random.default_rng(context.seed).permutation(len(train))[:N_ROWS]
    fold = _split(context, rows)

    column = train.images.reshape(len(train), -1)[rows, PIXEL]
    inked = column[column > 0]
    first = ", ".join(map(str, inked[:8]))
    description = f"one column: pixel{PIXEL}, in the middle of the image"
    measured = f"{len(inked):,} of {len(rows):,} rows are not zero; the first of them: {first}"
    output.add_result("B1", description, measured, n=len(rows))
    output.add_figure(
        "first-nine",
        "The first nine images",
        "The 784 values of a row form an image of 28 × 28 pixels.",
        digit_grids.first_digits(train.images[rows[:9]], labels[rows[:9]]),
    )

    linear, score = context.fit_and_score("B2, linear", MODEL_RECIPES["softmax"], fold)
    output.add_accuracy("B2", "linear classifier (softmax)", score, "–", context.differences)
    best, settings, n_trials = _grid_search(context, fold.train)
    recipes = [best.with_changes(dropout=rate) for rate in DROPOUT_RATES]  # best is one of them
    trained = [
        context.fit_and_score(f"B3 and B4, dropout {recipe.dropout:g}", recipe, fold)
        for recipe in recipes
    ]
    network, score = trained[recipes.index(best)]
    description = f"one hidden layer, the best of {n_trials} settings on rows of the training part"
    output.add_accuracy("B3", f"{description}: {settings}", score, PUBLISHED, context.differences)
    (plain, plain_score), (_, score) = trained
    notes = (
        f"without dropout {100 * plain_score.accuracy:.2f} %",
        f"log loss {score.log_loss:.4f} with dropout, {plain_score.log_loss:.4f} without; "
        f"training log loss without dropout {plain.history[-1].loss:.4f}",
        context.differences,
    )
    output.add_accuracy("B4", "dropout 0.3 instead of none", score, "–", *notes)
    output.add_figure(
        "losses",
        "Log loss during training",
        "A growing distance between the two lines of the network is over-fitting.",
        _loss_figure({"linear": linear, "network": network}),
    )
    val_labels = labels[fold.val]
    output.add_confusion_matrix("linear-confusion", "linear", linear.val_probabilities, val_labels)
    name = "neural network"
    output.add_confusion_matrix("network-confusion", name, network.val_probabilities, val_labels)
    _add_filters(context, output, fold)


def _split(context: Context, rows: Rows) -> FoldIndices:
    """Split ``rows`` with the same share of each digit in both parts."""
    labels = context.dataset.labels[rows]
    fold = context.split(labels, VAL_FRACTION)
    return FoldIndices(np.sort(rows[fold.train]), np.sort(rows[fold.val]))


def _grid_search(context: Context, rows: Rows) -> tuple[Recipe, str, int]:
    """Return the best recipe on a split of ``rows``, its settings, and the number of trials."""
    fold = _split(context, rows)
    trials: list[tuple[float, float, int, Recipe, str]] = []
    for units, learning_rate, dropout in SEARCH_GRID[:2] if context.quick else SEARCH_GRID:
        recipe = NETWORK.with_changes(widths=(units,), learning_rate=learning_rate, dropout=dropout)
        settings = f"{units} units, learning rate {learning_rate:g}, dropout {dropout:g}"
        _, score = context.fit_and_score(f"B3, {settings}", recipe, fold)
        trials.append((score.accuracy, -score.log_loss, len(trials), recipe, settings))
    *_, recipe, settings = max(trials)
    return recipe, settings, len(trials)


def _add_filters(context: Context, output: StudyOutput, fold: FoldIndices) -> None:
    """Draw the first layer after different numbers of epochs."""
    trained = []
    for limit in FILTER_EPOCHS[::2] if context.quick else FILTER_EPOCHS:
        recipe = FILTERS.with_changes(epochs=limit)
        result, score = context.fit_and_score(f"B5, {limit} epochs", recipe, fold)
        assert result.first_layer is not None
        epochs = len(result.history)
        trained.append(str(epochs))
        title = f"Weights of {FILTER_UNITS} hidden units after {epochs} epoch{'s' * (epochs > 1)}"
        output.add_figure(
            f"weights-{epochs}",
            title,
            f"The network classifies {100 * score.accuracy:.2f} % of the validation rows "
            "correctly. A pale unit is dead: no image activates it.",
            digit_grids.first_layer_weights(result.first_layer, title),
        )
    description = f"the weights of {FILTER_UNITS} hidden units after {', '.join(trained)} epochs"
    figures = [f"weights-{epochs}" for epochs in trained]
    output.add_result("B5", description, "", figures=figures)


def _loss_figure(results: dict[str, FoldResult]) -> "Figure":
    lines, colors = [], (style.VAL_COLOR, style.TRAIN_COLOR)
    for (name, result), color in zip(results.items(), colors, strict=True):
        epochs = [row.epoch for row in result.history]
        lines += [
            Line(epochs, [row.loss for row in result.history], color, "-", name),
            Line(epochs, [row.val_loss for row in result.history], color, "--"),
        ]
    note = "Solid: training rows. Dashed: validation rows."
    return line_chart(lines, "Log loss by epoch", "epoch", "log loss", note=note)
