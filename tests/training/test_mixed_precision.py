"""Training in 16 bits, which leaves a float32 model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.models.base import KerasClassifier, flat_layers, load_classifier
from kaggle_digits.models.formats import LITERT_FILE
from kaggle_digits.training import fold
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.keras_trainer import KerasTrainer
from kaggle_digits.training.predict import predict_test
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import resume, train
from tests.support.trainings import CopyAfter, identical

RECIPE = Recipe(
    "fast",
    widths=(4, 6, 16),
    epochs=3,
    batch_size=64,
    optimizer="muon",
    learning_rate=0.02,
    label_smoothing=0.1,
    ema=0.9,
    augment=Augmentation(elastic=0.3),
)
SMALL = replace(RECIPE, augment=None)


@pytest.mark.parametrize(("precision", "recipe"), [("bfloat16", SMALL), ("float16", RECIPE)])
def test_training_in_16_bits_leaves_a_float32_model(
    precision: str,
    recipe: Recipe,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KD_PRECISION", precision)
    run = train(dataset, recipe, Split(), runs_dir=tmp_path, name="half")
    assert run.metrics()["val_accuracy"] > 0.6
    test = run.test()
    assert test.dtype == np.float32
    assert np.allclose(test.sum(axis=1), 1, atol=1e-6)
    folder = run.member_folder(0)
    assert (folder / LITERT_FILE).is_file()
    kept = load_classifier(folder)
    assert isinstance(kept, KerasClassifier)
    layers = [*flat_layers(kept.network), kept.network]
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}
    assert np.array_equal(predict_test(run, dataset), test)


def test_hidden_layers_compute_in_16_bits_during_an_epoch_and_logits_do_not(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_PRECISION", "float16")
    assert dataset.train.labels is not None
    recipe = replace(SMALL, augment=Augmentation())
    trainer = make_trainer(recipe, dataset.train.images, dataset.train.labels, seed=0)
    assert isinstance(trainer, KerasTrainer)
    model = trainer.classifier.logits
    before, seen = trainer.state(), {}

    def record_dtypes(*_: Any) -> None:
        seen.update({layer.name: layer.compute_dtype for layer in flat_layers(model)})

    monkeypatch.setattr("kaggle_digits.training.keras_trainer.PROGRESS_INTERVAL", 0.0)
    trainer.train_epoch(0, record_dtypes)
    assert trainer.state() != before
    by_type = {dtype: [n for n in seen if seen[n] == dtype] for dtype in set(seen.values())}
    assert set(by_type) == {"float16", "float32"}
    assert {"dct", "conv2d", "dense"} <= {name.partition("_")[0] for name in by_type["float16"]}
    assert {"images", "augment", "normalize_unit", "logits"} <= set(by_type["float32"])
    scale = model.optimizer.dynamic_scale
    assert float(scale) <= model.optimizer.initial_scale


def test_resume_gives_identical_bits_and_rejects_another_precision(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_PRECISION", "float16")
    monkeypatch.setattr(fold, "CHECKPOINT_INTERVAL", 0.0)
    recipe, few = Recipe("dense", widths=(16,), epochs=3, ema=0.9), Split(rows=400)
    copy = CopyAfter(2, tmp_path / "a" / "half", tmp_path / "b" / "half")
    uninterrupted = train(dataset, recipe, few, runs_dir=tmp_path / "a", name="half", callback=copy)
    monkeypatch.setenv("KD_PRECISION", "float32")
    with pytest.raises(ModelError, match="tensorflow in float16, now on tensorflow in float32"):
        resume(dataset, runs_dir=tmp_path / "b")
    monkeypatch.setenv("KD_PRECISION", "float16")
    assert identical(resume(dataset, runs_dir=tmp_path / "b"), uninterrupted)
