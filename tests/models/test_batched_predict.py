"""The fast way to probabilities: the same answers as Keras' predict, never stale ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import predicting
from kaggle_digits.core.environment import backend_name
from kaggle_digits.models import backend
from kaggle_digits.models.backend import CPU_BATCH_SIZE as BATCH
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier
from kaggle_digits.models.batched_predict import BatchedPredictor
from kaggle_digits.models.normalization import fit_normalizer
from kaggle_digits.models.registry import build

# Two batches and a bit of one.
IMAGES = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 7, 28, 28)).astype(np.uint8)


def network(model: str, **options: object) -> Any:
    """An untrained network whose batch normalisation has something to do."""
    keras().utils.set_random_seed(0)
    made = KerasClassifier.wrap(
        build(model, options, rows=10, batch_size=10), fit_normalizer("standard", IMAGES)
    ).network
    unsettle(made)
    return made


def unsettle(made: Any, seed: int = 0) -> None:
    """Other scales (negative ones among them), offsets and statistics."""
    rng = np.random.default_rng(seed)
    for variable in made.variables:
        name = variable.path.rpartition("/")[2]
        if name == "moving_variance":
            variable.assign(rng.uniform(0.3, 3, variable.shape))
        elif name in ("gamma", "beta", "moving_mean", "bias"):
            variable.assign(rng.normal(0.5, 0.5, variable.shape))


@pytest.mark.parametrize("model", ["dense", "fast", "keras-convnet"])
def test_the_same_answers_as_predict_each_time(model: str) -> None:
    made = network(model)
    predictor = BatchedPredictor(made)
    answers = predictor(IMAGES)
    assert answers.dtype == np.float32
    assert np.abs(answers - made.predict(IMAGES, verbose=0)).max() <= 1e-5
    assert answers.std(axis=0).max() > 0.01, "images that all look alike prove nothing"
    assert np.array_equal(predictor(IMAGES), answers)
    assert np.array_equal(BatchedPredictor(made)(IMAGES), answers)
    assert predictor(IMAGES[:0]).shape == (0, 10)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_batches_come_back_in_their_places(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads)
    monkeypatch.setattr(backend, "usable_cores", lambda: 2)
    at_a_time = backend.predict_workers()
    assert at_a_time == (2 if threads == "2" and backend_name() == "tensorflow" else 1)
    predictor = BatchedPredictor(network("fast"))
    answers = predictor(IMAGES)
    for start in range(0, len(IMAGES), BATCH):
        alone = predictor(IMAGES[start : start + BATCH])
        assert np.array_equal(answers[start : start + BATCH], alone)


def test_a_training_step_is_seen() -> None:
    made = network("fast")
    predictor = BatchedPredictor(made)
    before = predictor(IMAGES)
    unsettle(made, seed=1)
    after = predictor(IMAGES)
    assert np.abs(after - before).max() > 0.01
    assert np.abs(after - made.predict(IMAGES, verbose=0)).max() <= 1e-5


@pytest.fixture
def eager() -> Iterator[None]:
    """TensorFlow as somebody sets it who looks for a mistake in a layer of their own."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager")
def test_a_layer_that_cannot_be_traced_is_left_to_predict() -> None:
    k = keras()

    class Counted(keras().layers.Layer):  # type: ignore[misc]
        """A layer in numpy: the share of ink in each tenth of the image."""

        def call(self, images: Any) -> Any:
            ink: NDArray[Any] = images.numpy().reshape(len(images), -1)[:, :780]
            return k.ops.convert_to_tensor(ink.reshape(len(ink), 10, -1).mean(axis=2))

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 10)

        def compute_output_spec(self, images: Any) -> Any:
            return k.KerasTensor((images.shape[0], 10), "float32")

    body = k.Sequential([Counted()])
    found = KerasClassifier.wrap(body, fit_normalizer("unit", IMAGES)).predict_proba(IMAGES[:20])
    ink = IMAGES[:20].reshape(20, -1)[:, :780].reshape(20, 10, -1).mean(axis=2) / 255
    expected = np.exp(ink) / np.exp(ink).sum(axis=1, keepdims=True)
    assert np.allclose(found, expected, atol=1e-5)


def test_the_benchmark_finds_the_same_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["predicting", "--quick", "--networks", "dense", "fast"])
    assert predicting.main() == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    assert [line.split("|")[1:3] for line in table] == [
        [f" `{name}` ", f" {call} "] for name in ("dense", "fast") for call in ("first", "later")
    ]
    monkeypatch.setattr(predicting, "_ours", lambda _, images: np.zeros((len(images), 10)))
    assert predicting.main() == 1
