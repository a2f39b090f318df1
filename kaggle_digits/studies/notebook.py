"""C: the competition's notebook, its normalization in two versions, and why it scored 0.82."""

from __future__ import annotations

from typing import Any

import numpy as np

from kaggle_digits.data.digits import PIXELS
from kaggle_digits.data.splits import Rows
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import NORMALIZATION_LAYER, KerasClassifier
from kaggle_digits.plots import charts, curves
from kaggle_digits.studies.fit_helpers import (
    fit_and_score,
    load_model,
    require_score,
    train_val_split,
)
from kaggle_digits.studies.study import Context, Published, Study, StudyOutput, join_notes
from kaggle_digits.training.fold import FoldResult
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES

VAL_FRACTION, RANDOM_STATE = 0.3, 42
PUBLISHED = Published(0.9662, "0.9662, loss 0.1418")
# As published: two hidden layers of 128, Adam's defaults, ten epochs in batches of 32.
SETTINGS: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 32,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
}
# tf.keras.utils.normalize(x, axis=1) scales columns of (n, 28, 28, 1) and images of (n, 784).
COLUMNS = Recipe("kaggle_digits.studies.notebook:column_network", **SETTINGS)
IMAGES = Recipe("dense", dropout=0.0, normalize="l2", **SETTINGS)


def column_network() -> Any:
    """Build the notebook's network with each column of each image scaled to unit length.

    This is ``tf.keras.utils.normalize(x, axis=1)`` on (n, 28, 28, 1): axis 1 is the rows of an
    image, so each column is divided by its own length.
    """
    k = keras()
    return k.Sequential(
        [
            k.layers.UnitNormalization(axis=1),
            k.layers.Flatten(),
            k.layers.Dense(128, activation="relu"),
            k.layers.Dense(128, activation="relu"),
            k.layers.Dense(10),
        ]
    )


def run(context: Context, output: StudyOutput) -> None:
    """Train the notebook's network with both normalizations, and a convolutional network."""
    train, labels = context.dataset.train, context.dataset.labels
    counts = np.bincount(labels, minlength=10)
    output.add_result(
        "C1",
        "missing values; class balance",
        f"no missing value in {len(train):,} × {PIXELS}; {counts.min():,} to {counts.max():,} "
        "images per digit",
        n=len(train),
    )
    output.add_figure(
        "class-balance",
        "Images of each digit",
        "The digits are almost equally frequent.",
        charts.class_balance(counts),
    )
    fold = train_val_split(labels, VAL_FRACTION, RANDOM_STATE)
    output.add_result(
        "C2",
        "reshape to (n, 28, 28, 1); split 70 / 30 with random_state 42",
        f"{len(fold.train):,} training rows, {len(fold.val):,} validation rows",
        n=len(fold.val),
    )
    for recipe, scaled in ((COLUMNS, "each column"), (IMAGES, "each image")):
        result, score = fit_and_score(context, f"C3, {scaled} normalized", recipe, fold)
        output.add_accuracy(
            "C3",
            f"dense 128-128, 10 epochs, {scaled} scaled to unit length",
            score,
            PUBLISHED,
            join_notes(
                context.quick_note,
                f"log loss {score.log_loss:.4f}",
                "normalize(x, axis=1) scales columns if x is (n, 28, 28, 1) and images if it is "
                "(n, 784)",
            ),
        )
    output.add_figure(
        "notebook-curves",
        "Learning curves of the notebook's network",
        "With each image scaled to unit length. The training loss continues to fall when the "
        "validation loss no longer does: without dropout the network over-fits.",
        curves.learning_curves([vars(row) for row in result.history]),
    )
    _normalization_mismatch(context, output, result, score.accuracy, fold.val)
    network = MODEL_RECIPES["cnn"]
    _, score = fit_and_score(context, "C5, convolutional network", network, fold)
    output.add_accuracy(
        "C5",
        "convolution, activation, pooling, flattening, fully connected: model cnn",
        score,
        "announced, no value",
        join_notes(context.quick_note, f"{network.epochs} epochs"),
    )


def _normalization_mismatch(
    context: Context, output: StudyOutput, result: FoldResult, matched: float, rows: Rows
) -> None:
    """Score the network on images that are normalized differently than in training."""
    context.progress("C4: held-out images with another normalization")
    images, labels = context.dataset.train.images[rows], context.dataset.labels[rows]
    classifier = load_model(result)
    assert isinstance(classifier, KerasClassifier)
    values: Any = images[..., None].astype(np.float32) / 255
    for layer in classifier.network.layers[1:]:
        if layer.name != NORMALIZATION_LAYER:
            values = layer(values)
    output.add_accuracy(
        "C4",
        "the same network; held-out images divided by 255 instead of normalized as in training",
        require_score(keras().ops.convert_to_numpy(values), labels),
        "a Kaggle score above 0.82",
        f"normalized as in training: {100 * matched:.2f} %; kaggle-digits makes the "
        "normalization a part of the model, so this cannot happen",
    )


STUDY = Study(
    "notebook",
    "The competition's notebook",
    "C. Digit Recognizer using the MNIST data set",
    ("C1", "C2", "C3", "C4", "C5"),
    run,
    cost=130,
)
