"""E: a small network on scikit-learn's 1,797 digits of 8 × 8 pixels, trained on the first 1,000."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.plots import style
from kaggle_digits.studies.figures import Line, digit_grid, line_chart
from kaggle_digits.studies.study import Context, Study, StudyOutput, join_notes, score_of_counts

TRAIN_ROWS, SHOWN_ROWS = 1000, 50
PUBLISHED = 0.9159


def run(context: Context, output: StudyOutput) -> None:
    """Repeat the publication with its seed, and with other seeds for comparison."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.images, data.target
    output.add_figure(
        "sixteen-digits",
        "The data: 8 × 8 pixels, 17 grey levels",
        "The first sixteen of scikit-learn's digits with their labels. They were written by other "
        "people than the competition's digits and have far fewer pixels.",
        digit_grid(
            images[:16], [str(label) for label in labels[:16]], "Sixteen digits", max_value=16
        ),
    )
    output.add_result("E1", "look at sixteen digits", "figure: sixteen-digits")

    pixels = images.reshape(len(images), -1)
    test_labels = labels[TRAIN_ROWS:]
    seeds = range(1, 4 if context.quick else 11)
    models: list[Any] = []
    for seed in seeds:
        message = f"15 hidden units, gradient descent, random_state {seed}"
        context.progress(message, len(models), len(seeds))
        models.append(_fit(pixels[:TRAIN_ROWS], labels[:TRAIN_ROWS], seed))
    predictions = [model.predict(pixels[TRAIN_ROWS:]) for model in models]
    correct = [int((prediction == test_labels).sum()) for prediction in predictions]
    score = score_of_counts(correct[0], len(test_labels))
    low, high = score.ci95
    exact = round(score.accuracy, 4) == PUBLISHED
    output.add_result(
        "E2",
        "15 hidden units, logistic, SGD with learning rate 0.1, alpha 1e-4, random_state 1",
        f"{score.accuracy:.4f} ({low:.4f}–{high:.4f})",
        published=str(PUBLISHED),
        n=score.n,
        reached=high >= PUBLISHED,
        note=join_notes(
            f"{correct[0]} of {score.n} correct",
            "exactly the published value"
            if exact
            else "not exactly the published value; a single image would change it",
            f"random_state 1 to {seeds[-1]}: {min(correct)} to {max(correct)} correct",
        ),
    )
    first, first_labels = predictions[0][:SHOWN_ROWS], test_labels[:SHOWN_ROWS]
    output.add_result(
        "E3",
        f"the first {SHOWN_ROWS} predictions beside the labels",
        f"{int((first == first_labels).sum())} of {SHOWN_ROWS} agree",
        n=SHOWN_ROWS,
        note=f"predicted {''.join(map(str, first))}, labels {''.join(map(str, first_labels))}",
    )
    losses = models[0].loss_curve_
    output.add_figure(
        "learning-curve",
        "Training loss per epoch",
        "The log loss on the thousand training digits after each epoch. scikit-learn stops when "
        "ten epochs in a row improve it too little.",
        line_chart(
            [Line(np.arange(1, len(losses) + 1), losses, style.TRAIN_COLOR)],
            "Training loss",
            xlabel="epoch",
            ylabel="log loss (nats)",
            log_scale=True,
        ),
    )


def _fit(pixels: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> Any:
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


STUDY = Study(
    "scikit",
    "A small network on scikit-learn's digits",
    "E. Handwritten digits with scikit-learn",
    ("E1", "E2", "E3"),
    run,
    cost=3,
)
