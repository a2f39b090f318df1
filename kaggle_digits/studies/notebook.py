"""C: the competition's notebook, its normalisation both ways, and what its 0.82 warns of."""

from __future__ import annotations

from typing import Any

import numpy as np

from kaggle_digits.data.digits import PIXELS
from kaggle_digits.data.splits import Rows
from kaggle_digits.metrics.scores import score
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import NORMALIZATION_LAYER, KerasClassifier
from kaggle_digits.plots import charts, curves
from kaggle_digits.studies.fit_helpers import fit, loaded, random_part
from kaggle_digits.studies.study import Finding, Panel, Result, Setting, Study, share_finding
from kaggle_digits.training.fold import FoldResult
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES

HELD_OUT, STATE = 0.3, 42
PUBLISHED, PUBLISHED_LOSS, PUBLISHED_KAGGLE = 0.9662, 0.1418, 0.82
# As published: two hidden layers of 128, Adam's defaults, ten epochs in batches of 32.
NOTEBOOK = Recipe(
    "dense",
    dropout=0.0,
    epochs=10,
    batch_size=32,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="constant",
)


def columns() -> Any:
    """A dense network on images whose columns are each scaled to length 1.

    What ``tf.keras.utils.normalize(x, axis=1)`` does to (n, 28, 28, 1): the images' second axis
    are the rows, so each column of each image is divided by its own length.
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


def _run(setting: Setting) -> Result:
    train, labels = setting.dataset.train, setting.dataset.labels
    counts = np.bincount(labels, minlength=10)
    yield Finding(
        "C1",
        "missing values; are the classes balanced?",
        "–",
        f"no missing value in {len(train):,} × {PIXELS} (read strictly: another cell is an error); "
        f"{counts.min():,} to {counts.max():,} images a digit",
        len(train),
    )
    yield Panel(
        "class-balance",
        "Images of each digit",
        "The digits are nearly, but not quite, equally frequent.",
        charts.class_balance(counts),
    )
    part = random_part(labels, HELD_OUT, STATE)
    yield Finding(
        "C2",
        "reshape to (n, 28, 28, 1); 70 / 30 with random_state 42",
        "–",
        f"{len(part.train):,} rows to learn from, {len(part.val):,} held out",
        len(part.val),
    )
    whole = NOTEBOOK.with_changes(normalize="l2")
    apart = Recipe(
        **{**vars(NOTEBOOK), "model": "kaggle_digits.studies.notebook:columns", "dropout": None}
    )
    quick = "fewer epochs: --quick; " if setting.quick else ""
    for recipe, how in ((apart, "each column by itself"), (whole, "each image as a whole")):
        what = f"dense 128-128, 10 epochs, {how} scaled to length 1"
        member, found = fit(setting, f"C3, {how}", recipe, part)
        why = (
            f"{quick}log loss {found.log_loss:.4f}, published {PUBLISHED_LOSS}; normalize(x, "
            "axis=1) does the one on (n, 28, 28, 1) and the other on (n, 784)"
        )
        words = f"{PUBLISHED}, loss {PUBLISHED_LOSS}"
        yield share_finding("C3", what, PUBLISHED, found, said=words, why=why)
    yield Panel(
        "notebook-curves",
        "Ten epochs of the notebook's network",
        "Images as a whole scaled to length 1. Training goes on improving where validation no "
        "longer does: without dropout it begins to learn its rows by heart.",
        curves.learning_curves([vars(row) for row in member.history]),
    )
    yield from _mismatch(setting, member, found.accuracy, part.val)
    network = MODEL_RECIPES["cnn"]
    member, found = fit(setting, "C5, convolutions", network, part)
    yield share_finding(
        "C5",
        "convolution, activation, pooling, flattening, fully connected: our cnn",
        None,
        found,
        said="promised, not shown",
        why=f"{quick}{network.epochs} epochs",
    )


def _mismatch(setting: Setting, member: FoldResult, right: float, rows: Rows) -> Result:
    """Images that are not normalised as the training images were: what the notebook ran into."""
    setting.say("C4: held-out images normalised another way")
    images, labels = setting.dataset.train.images[rows], setting.dataset.labels[rows]
    classifier = loaded(member)
    assert isinstance(classifier, KerasClassifier)
    values: Any = images[..., None].astype(np.float32) / 255
    for layer in classifier.network.layers[1:]:
        if layer.name != NORMALIZATION_LAYER:
            values = layer(values)
    found = score(keras().ops.convert_to_numpy(values), labels)
    assert found is not None
    yield share_finding(
        "C4",
        "the same network, held-out images divided by 255 instead of scaled as in training",
        None,
        found,
        said=f"a Kaggle score above {PUBLISHED_KAGGLE}",
        why=f"scaled as in training: {100 * right:.2f} %; kd keeps the normalisation inside the "
        "model, so the two are never apart, and kd submit sends the file",
    )


STUDY = Study(
    "notebook",
    "The competition's notebook",
    "C. Digit Recognizer using the MNIST data set",
    ("C1", "C2", "C3", "C4", "C5"),
    _run,
    cost=130,
)
