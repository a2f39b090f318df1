"""Training a Keras network: batches, weight averaging, batch-normalization statistics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import Digits
from kaggle_digits.models.architectures import MARGIN
from kaggle_digits.models.backend import keras, reset_session
from kaggle_digits.models.base import KerasClassifier, flat_layers
from kaggle_digits.training import keras_trainer
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.keras_trainer import Batches, KerasTrainer
from kaggle_digits.training.recipe import Recipe

RECIPE = Recipe(
    "fast",
    widths=(4, 6, 8),
    epochs=3,
    batch_size=64,
    optimizer="muon",
    learning_rate=0.02,
    schedule="constant",
)


def trained(digits: Digits, epochs: int = 1, **changes: Any) -> KerasTrainer:
    assert digits.labels is not None
    recipe = replace(RECIPE, epochs=epochs, **changes)
    trainer = make_trainer(recipe, digits.images, digits.labels, seed=0)
    assert isinstance(trainer, KerasTrainer)
    for epoch in range(epochs):
        trainer.train_epoch(epoch, lambda *_: None)
    return trainer


def weights(trainer: KerasTrainer) -> list[np.ndarray]:
    return [keras().ops.convert_to_numpy(v) for v in logits(trainer).trainable_variables]


def logits(trainer: KerasTrainer) -> Any:
    assert isinstance(trainer.classifier, KerasClassifier)
    return trainer.classifier.logits


def test_averaging_does_not_change_training(dataset: Dataset) -> None:
    plain, averaged = (weights(trained(dataset.train, ema=ema)) for ema in (None, 0.9))
    for one, other in zip(plain, averaged, strict=True):
        # TensorFlow fuses the two graphs differently; assigned averages would differ by 0.01.
        assert np.abs(one - other).max() < 1e-6


def test_skipping_continues_the_schedule_later(dataset: Dataset) -> None:
    digits = dataset.train
    assert digits.labels is not None
    recipe = RECIPE.with_changes(schedule="exponential", epochs=9)
    trainer = make_trainer(recipe, digits.images[:128], digits.labels[:128], seed=0)
    trainer.train_epoch(0, lambda *_: None)
    trainer.skip_to(8)
    _, _, rate = trainer.train_epoch(8, lambda *_: None)
    assert rate == pytest.approx(0.02 * 0.95**9)
    assert isinstance(trainer, KerasTrainer)
    assert int(logits(trainer).optimizer.iterations) == 9 * trainer.steps


@pytest.mark.parametrize(
    ("recipe", "optimizer"),
    [
        (RECIPE, "muon"),
        *((Recipe("dense", widths=(8,)), name) for name in ("adamw", "adam", "sgd")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.model,
)
def test_finish_assigns_the_running_average(
    dataset: Dataset, recipe: Recipe, optimizer: str
) -> None:
    momentum, seen = 0.6, []
    recipe = recipe.with_changes(
        ema=momentum, epochs=1, optimizer=optimizer, batch_size=len(dataset.train)
    )
    trainer = make_trainer(recipe, dataset.train.images, dataset.labels, seed=0)
    assert isinstance(trainer, KerasTrainer)
    average = weights(trainer)
    for epoch in range(3):  # one step each
        trainer.train_epoch(epoch, lambda *_: None)
        seen.append(weights(trainer))
        average = [
            momentum * a + (1 - momentum) * w for a, w in zip(average, seen[-1], strict=True)
        ]
    trainer.finish()
    final = weights(trainer)
    # Keras starts the average at the initial weights or those after the first step.
    assert all(
        np.abs(f - a).max() <= np.abs(s - a).max() + 1e-6
        for f, a, s in zip(final, average, seen[-1], strict=True)
    )
    assert any(not np.allclose(f, s) for f, s in zip(final, seen[-1], strict=True))


def test_batchnorm_statistics_fit_the_averaged_weights(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trained(
        dataset.train,
        3,
        model="strong",
        widths=(4, 6, 8, 8),
        optimizer="sgd",
        ema=0.97,
        learning_rate=0.5,
    )
    monkeypatch.setattr(keras_trainer, "BATCHNORM_STEPS", 32)
    monkeypatch.setattr(keras_trainer, "BATCHNORM_BATCH_SIZE", 512)
    trainer.finish()
    k, layers = keras(), flat_layers(logits(trainer))
    dct_filters, kernel = [x for x in layers if isinstance(x, k.layers.Conv2D)][:2]
    first, second = [x for x in layers if isinstance(x, k.layers.BatchNormalization)][:2]
    images = dataset.train.images[:, MARGIN:-MARGIN, MARGIN:-MARGIN, None].astype(np.float32) / 255
    found = k.ops.convert_to_numpy(k.layers.MaxPooling2D()(dct_filters(images)))
    mean, deviation = found.mean(axis=(0, 1, 2)), found.std(axis=(0, 1, 2))
    assert np.allclose(k.ops.convert_to_numpy(first.moving_mean), mean, atol=0.02)
    seen = k.ops.relu((found - mean) / deviation)  # in training mode: the batch's statistics
    expected = k.ops.convert_to_numpy(k.ops.mean(kernel(seen), axis=(0, 1, 2)))
    assert np.abs(expected).max() > 0.2
    assert np.allclose(k.ops.convert_to_numpy(second.moving_mean), expected, atol=0.05)


def test_finish_changes_nothing_without_averaging(dataset: Dataset) -> None:
    trainer = trained(dataset.train)
    before = trainer.state()
    trainer.finish()
    assert trainer.state() == before


def test_patience_and_averaging_are_exclusive() -> None:
    with pytest.raises(UsageError, match="choose one"):
        Recipe("dense", ema=0.99, patience=3)
    with pytest.raises(UsageError, match=r"`ema=1\.0` is outside 0 to 1"):
        Recipe("dense", ema=1.0)


ROWS, SIZE = 10, 4


def random_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (ROWS, 28, 28), np.uint8), rng.integers(0, 10, ROWS, np.int32)


@pytest.mark.skipif(backend_name() != "tensorflow", reason="Keras gets arrays")
def test_batches_have_each_row_once_in_the_given_order() -> None:
    keras()
    images, targets = random_rows()
    batches = Batches(images, targets, SIZE)
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(ROWS)
        found = [(x.numpy(), y.numpy()) for x, y in batches.fit_arguments(order)["x"]]
        assert [len(x) for x, _ in found] == [4, 4, 2]
        assert np.array_equal(np.concatenate([x for x, _ in found]), images[order])
        assert np.array_equal(np.concatenate([y for _, y in found]), targets[order])


def test_batches_train_like_arrays() -> None:
    images, targets = random_rows()
    order = np.random.default_rng(3).permutation(ROWS)
    weights_after = []
    for arguments in (
        {"x": images[order], "y": targets[order], "batch_size": SIZE, "shuffle": False},
        Batches(images, targets, SIZE).fit_arguments(order),
    ):
        reset_session(5)
        k = keras()
        layers = [k.layers.Rescaling(1 / 255), k.layers.Flatten(), k.layers.Dense(10)]
        model = k.Sequential([k.Input((28, 28)), *layers])
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, jit_compile=False)
        model.fit(**arguments, epochs=2, verbose=0)
        weights_after.append(model.get_weights())
    for one, other in zip(*weights_after, strict=True):
        assert np.array_equal(one, other)


def test_dataset_is_not_autotuned() -> None:
    if backend_name() != "tensorflow":
        pytest.skip("no tf.data under other backends")
    keras()
    dataset = Batches(*random_rows(), SIZE).fit_arguments(np.arange(ROWS))["x"]
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == 3
