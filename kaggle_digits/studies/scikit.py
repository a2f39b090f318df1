"""E: a small network on scikit-learn's 1,797 digits of 8 × 8 pixels, trained on the first 1,000."""

from typing import Any

import numpy as np

from kaggle_digits.plots import digit_grids, style
from kaggle_digits.plots.charts import Line, line_chart
from kaggle_digits.studies.study import Context, StudyOutput, fit_mlp, score_labels

TRAIN_ROWS, SHOWN_ROWS = 1000, 50
PUBLISHED = 0.9159
SETTINGS: dict[str, Any] = {"alpha": 1e-4, "solver": "sgd", "tol": 1e-4, "learning_rate_init": 0.1}


def run(context: Context, output: StudyOutput) -> None:
    """Repeat the publication with its seed, and with other seeds for comparison."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.images, data.target
    captions = [str(label) for label in labels[:16]]
    output.add_figure(
        "sixteen-digits",
        "The data: 8 × 8 pixels, 17 grey levels",
        "scikit-learn's digits were written by other people than the competition's.",
        digit_grids.digit_grid(images[:16], captions, "Sixteen digits", max_value=16),
    )
    output.add_result("E1", "look at sixteen digits", "", figures=["sixteen-digits"])

    pixels = images.reshape(len(images), -1)
    test_labels = labels[TRAIN_ROWS:]
    seeds = range(1, 4 if context.quick else 11)
    models: list[Any] = []
    for seed in seeds:
        message = f"15 hidden units, gradient descent, random_state {seed}"
        context.progress(message, len(models), len(seeds))
        train_pixels, train_labels = pixels[:TRAIN_ROWS], labels[:TRAIN_ROWS]
        models.append(fit_mlp(train_pixels, train_labels, 15, random_state=seed, **SETTINGS))
    predictions = [model.predict(pixels[TRAIN_ROWS:]) for model in models]
    correct = [int((prediction == test_labels).sum()) for prediction in predictions]
    score = score_labels(predictions[0], test_labels)
    low, high = score.ci95
    published = round(PUBLISHED * score.n)
    comparison = f"{correct[0]} of {score.n} correct; published: {published}"
    output.add_result(
        "E2",
        "15 hidden units, logistic, SGD with learning rate 0.1, alpha 1e-4, random_state 1",
        f"{100 * score.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})",
        f"random_state 1 to {seeds[-1]}: {min(correct)} to {max(correct)} correct",
        published=f"{100 * PUBLISHED:.2f} % ({PUBLISHED})",
        n=score.n,
        reached=high >= PUBLISHED,
        comparison=comparison,
    )
    first, first_labels = predictions[0][:SHOWN_ROWS], test_labels[:SHOWN_ROWS]
    output.add_result(
        "E3",
        f"the first {SHOWN_ROWS} predictions beside the labels",
        f"{int((first == first_labels).sum())} of {SHOWN_ROWS} agree",
        f"predicted {''.join(map(str, first))}, labels {''.join(map(str, first_labels))}",
        n=SHOWN_ROWS,
    )
    losses = models[0].loss_curve_
    line = Line(np.arange(1, len(losses) + 1), losses, style.TRAIN_COLOR)
    output.add_figure(
        "learning-curve",
        "Training loss per epoch",
        "Training stops when ten epochs in a row improve the loss too little.",
        line_chart([line], "Training loss", "epoch", "log loss", log_scale=True),
    )
