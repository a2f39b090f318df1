"""C: the competition's notebook, its normalization in two versions, and what mixing them costs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.data.digits import PIXELS
from kaggle_digits.metrics.scores import score_or_raise
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import NORMALIZATION_LAYER
from kaggle_digits.plots import charts
from kaggle_digits.studies.study import Context, Published, StudyOutput, load_keras_model
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES

VAL_FRACTION, RANDOM_STATE = 0.3, 42
PUBLISHED = Published(0.9662, "96.62 %, log loss 0.1418")
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
    """Build the notebook's network with each column of each image scaled to unit length."""
    k = keras()
    hidden = [k.layers.Dense(128, activation="relu") for _ in range(2)]
    scaled = [k.layers.UnitNormalization(axis=1), k.layers.Flatten()]
    return k.Sequential([*scaled, *hidden, k.layers.Dense(10)])


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
    title, explanation = "Images of each digit", "The digits are almost equally frequent."
    output.add_figure("class-balance", title, explanation, charts.class_balance(counts))
    fold = context.split(labels, VAL_FRACTION, RANDOM_STATE)
    description = "reshape to (n, 28, 28, 1); split 70 / 30 with random_state 42"
    counted = f"{len(fold.train):,} training rows, {len(fold.val):,} validation rows"
    output.add_result("C2", description, counted, n=len(fold.val))
    axis_note = (
        "normalize(x, axis=1) scales columns if x is (n, 28, 28, 1) and images if it is (n, 784)"
    )
    for recipe, scaled in ((COLUMNS, "each column"), (IMAGES, "each image")):
        result, score = context.fit_and_score(f"C3, {scaled} normalized", recipe, fold)
        description = f"dense 128-128, {len(result.history)} epochs, {scaled} scaled to unit length"
        notes = [context.differences, f"log loss {score.log_loss:.4f}", axis_note]
        output.add_accuracy("C3", description, score, PUBLISHED, *notes)
    output.add_figure(
        "notebook-curves",
        "Learning curves of the notebook's network",
        "If the training loss falls longer than the validation loss, the network over-fits.",
        charts.learning_curves([vars(row) for row in result.history]),
    )

    context.progress("C4: held-out images with another normalization")
    network = load_keras_model(result).network
    pixels = train.images[fold.val].astype(np.float32)
    notes = [
        f"normalized as in training: {100 * score.accuracy:.2f} %; a difference of this kind may "
        "explain the published score of 0.82, whose test images were normalized in an unknown way; "
        "in kaggle-digits the normalization is a part of the model, so this cannot happen"
    ]
    for other, values in (
        ("divided by 255", pixels[..., None] / 255),
        ("each column scaled to unit length", _unit_length(pixels, axis=1)),
        ("each row scaled to unit length", _unit_length(pixels, axis=2)),
        ("each pixel scaled over all images", _unit_length(pixels, axis=0)),
    ):
        outputs: Any = values
        for layer in network.layers[1:]:
            if layer.name != NORMALIZATION_LAYER:
                outputs = layer(outputs)
        description = f"trained on images scaled to unit length, held-out images {other}"
        scored = score_or_raise(keras().ops.convert_to_numpy(outputs), labels[fold.val])
        output.add_accuracy("C4", description, scored, "a Kaggle score above 0.82", *notes)

    recipe = MODEL_RECIPES["cnn"]
    result, score = context.fit_and_score("C5, convolutional network", recipe, fold)
    description = "convolution, activation, pooling, flattening, fully connected: model cnn"
    notes = [context.differences, f"{len(result.history)} epochs"]
    output.add_accuracy("C5", description, score, "announced, no value", *notes)


def _unit_length(pixels: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Scale (n, 28, 28) pixels along an axis; return (n, 28, 28, 1).

    This is keras.utils.normalize, which takes axis 0 for the last one.
    """
    length = np.linalg.norm(pixels, axis=axis, keepdims=True)
    scaled = np.zeros_like(pixels)
    np.divide(pixels, length, out=scaled, where=length > 0)
    return scaled[..., None]
