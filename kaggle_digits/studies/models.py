"""A1 to A4: from logistic regression to three hidden layers, in scikit-learn and in Keras."""

import numpy as np

from kaggle_digits.data.splits import Split, split
from kaggle_digits.metrics.scores import score_or_raise
from kaggle_digits.plots import charts
from kaggle_digits.studies.study import Context, Published, StudyOutput
from kaggle_digits.training.recipes import MODEL_RECIPES

# The publication trains on 50,000 of 60,000 rows: five of six folds here, three times.
FOLDS, FOLDS_USED = 6, 3
# l2, epochs and batch size of A2 and A3 were chosen on other splits, with seeds 1 to 3.
ONE_LAYER = MODEL_RECIPES["mlp"].with_changes(widths=(100,), l2=2e-4, epochs=30, batch_size=50)
DEEP = MODEL_RECIPES["mlp"].with_changes(widths=(500, 200, 50), l2=1e-4)
KERAS_ONE_LAYER = MODEL_RECIPES["dense"].with_changes(widths=(100,))
KERAS_DEEP = MODEL_RECIPES["dense-deep"]
# Experiment, description, published accuracy and its wording, recipe.
EXPERIMENTS = (
    ("A1", "logistic regression", 0.92, "about 92 %", MODEL_RECIPES["linear"]),
    ("A2", "one hidden layer of 100, scikit-learn", 0.975, "about 97.5 %", ONE_LAYER),
    ("A3", "hidden layers 500, 200, 50, scikit-learn", 0.98, "98 %", DEEP),
    ("A4", "one hidden layer of 100, Keras", 0.975, "about the same as A2", KERAS_ONE_LAYER),
    ("A4", "hidden layers 500, 200, 50, Keras", 0.98, "about the same as A3", KERAS_DEEP),
)


def run(context: Context, output: StudyOutput) -> None:
    """Train the five models on the same folds."""
    labels = context.dataset.labels
    folds = split(labels, Split("folds", folds=FOLDS, seed=context.seed))
    folds = folds[: 1 if context.quick else FOLDS_USED]
    val_labels = np.concatenate([labels[fold.val] for fold in folds])
    note = context.differences or (
        "trained on 35,000 of the competition's rows instead of 50,000 of MNIST; three of six "
        "folds used for validation"
    )
    for experiment, description, accuracy, wording, recipe in EXPERIMENTS:
        results = []
        for number, fold in enumerate(folds, 1):
            stage = f"{experiment}, {description}, {number} of {len(folds)}"
            results.append(context.fit_and_score(stage, recipe, fold)[0])
        probabilities = np.concatenate([result.val_probabilities for result in results])
        score = score_or_raise(probabilities, val_labels)
        output.add_accuracy(experiment, description, score, Published(accuracy, wording), note)
        if recipe is MODEL_RECIPES["linear"]:
            linear, linear_probabilities = description, probabilities
    history = [
        {**vars(row), "member": member}
        for member, result in enumerate(results)
        for row in result.history
    ]
    output.add_figure(
        "deep-curves",
        "Learning curves of the deepest network",
        "Loss and accuracy of the Keras network with three hidden layers.",
        charts.learning_curves(history),
    )
    output.add_confusion_matrix("linear-confusion", linear, linear_probabilities, val_labels)
    output.add_confusion_matrix("deep-confusion", description, probabilities, val_labels)
