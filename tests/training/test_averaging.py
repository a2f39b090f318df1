"""Averaged weights: the mean of the last steps, with batch normalisation's statistics for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Digits
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier, flat_layers
from kaggle_digits.models.strong import MARGIN
from kaggle_digits.training import keras_trainer
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.recipe import Recipe

RECIPE = Recipe(
    "strong",
    widths=(4, 6, 8, 8),
    epochs=3,
    batch_size=64,
    optimizer="muon",
    learning_rate=0.02,
    schedule="constant",
)


def trained(digits: Digits, ema: float | None, epochs: int = 3) -> KerasTrainer:
    assert digits.labels is not None
    recipe = RECIPE.with_changes(ema=ema, epochs=epochs)
    learner = make_trainer(recipe, digits.images, digits.labels, seed=0)
    assert isinstance(learner, KerasTrainer)
    for epoch in range(epochs):
        learner.train_epoch(epoch, lambda *_: None)
    return learner


def weights(learner: KerasTrainer) -> list[np.ndarray]:
    return [keras().ops.convert_to_numpy(v) for v in logits(learner).trainable_variables]


def logits(learner: KerasTrainer) -> Any:
    assert isinstance(learner.classifier, KerasClassifier)
    return learner.classifier.logits


def test_averaging_does_not_disturb_the_training(dataset: Dataset) -> None:
    plain, averaged = (weights(trained(dataset.train, ema, epochs=1)) for ema in (None, 0.9))
    for one, other in zip(plain, averaged, strict=True):
        # TensorFlow fuses the two graphs differently; an average put in place is 0.01 off.
        assert np.abs(one - other).max() < 1e-6


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adam", "sgd"])
def test_the_last_epoch_leaves_the_running_average(dataset: Dataset, optimizer: str) -> None:
    momentum, seen = 0.6, []
    recipe = RECIPE.with_changes(
        ema=momentum, epochs=1, optimizer=optimizer, batch_size=len(dataset.train)
    )
    learner = make_trainer(recipe, dataset.train.images, dataset.labels, seed=0)
    assert isinstance(learner, KerasTrainer)
    average = weights(learner)
    for epoch in range(3):  # one step each
        learner.train_epoch(epoch, lambda *_: None)
        seen.append(weights(learner))
        average = [
            momentum * a + (1 - momentum) * w for a, w in zip(average, seen[-1], strict=True)
        ]
    learner.finish()
    final = weights(learner)
    # Keras starts its average at the first weights or at the first step's; both fade.
    assert all(
        np.abs(f - a).max() <= np.abs(s - a).max() + 1e-6
        for f, a, s in zip(final, average, seen[-1], strict=True)
    )
    assert any(not np.allclose(f, s) for f, s in zip(final, seen[-1], strict=True))


def test_statistics_are_those_of_the_averaged_weights(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = trained(dataset.train, 0.97)
    monkeypatch.setattr(keras_trainer, "STATISTICS_BATCH", 1024)
    learner.finish()
    k, layers = keras(), flat_layers(logits(learner))
    waves, kernel = [x for x in layers if isinstance(x, k.layers.Conv2D)][:2]
    first, second = [x for x in layers if isinstance(x, k.layers.BatchNormalization)][:2]
    images = dataset.train.images[:, MARGIN:-MARGIN, MARGIN:-MARGIN, None].astype(np.float32) / 255
    found = k.ops.convert_to_numpy(k.layers.MaxPooling2D()(waves(images)))
    mean, deviation = found.mean(axis=(0, 1, 2)), found.std(axis=(0, 1, 2))
    assert np.allclose(k.ops.convert_to_numpy(first.moving_mean), mean, atol=0.02)
    seen = k.ops.relu((found - mean) / deviation)  # as in training: by the batch's own statistics
    expected = k.ops.convert_to_numpy(k.ops.mean(kernel(seen), axis=(0, 1, 2)))
    assert np.abs(expected).max() > 0.2
    assert np.allclose(k.ops.convert_to_numpy(second.moving_mean), expected, atol=0.05)


def test_without_averaging_nothing_is_changed_at_the_end(dataset: Dataset) -> None:
    learner = trained(dataset.train, None, epochs=1)
    before = learner.state()
    learner.finish()
    assert learner.state() == before


def test_patience_and_averaging_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="choose one"):
        Recipe("dense", ema=0.99, patience=3)
    with pytest.raises(UsageError, match="--ema 1"):
        Recipe("dense", ema=1.0)
