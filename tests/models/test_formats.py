"""LiteRT models predict what Keras predicts; tests/training/test_export.py writes each format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.models.formats import (
    LITERT_FILE,
    LiteRTClassifier,
    check_format,
    load_for_inference,
    to_litert,
)
from kaggle_digits.models.registry import BUILDERS, SKLEARN_MODELS
from tests.models.test_registry import IMAGES, classifier


@pytest.mark.parametrize("model", sorted(set(BUILDERS) - SKLEARN_MODELS))
def test_every_network_predicts_as_in_keras(model: str) -> None:
    network = classifier(model)
    content = to_litert(network, IMAGES)
    assert content is not None
    lite = LiteRTClassifier(content)
    for images in (IMAGES, IMAGES[:1], IMAGES[3:10]):
        assert np.abs(lite.predict_proba(images) - network.predict_proba(images)).max() < 1e-4
    assert lite.predict_proba(IMAGES[:0]).shape == (0, 10)


def test_sklearn_model_is_not_converted(tmp_path: Path) -> None:
    model = classifier("linear")
    assert to_litert(model, IMAGES) is None
    model.save(tmp_path)
    loaded = load_for_inference(tmp_path)
    assert np.array_equal(loaded.predict_proba(IMAGES), model.predict_proba(IMAGES))


def test_conversion_with_other_predictions_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    other = to_litert(classifier("softmax"), IMAGES)
    assert other is not None
    monkeypatch.setattr("kaggle_digits.models.formats.convert", lambda function: other)
    assert to_litert(classifier("dense"), IMAGES) is None


def test_damaged_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / LITERT_FILE).write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.tflite cannot be read"):
        load_for_inference(tmp_path)


def test_formats_that_need_tensorflow_are_refused_under_jax(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    check_format("saved_model")
    for kind in ("onnx", "litert"):
        with pytest.raises(UsageError, match="put KERAS_BACKEND=tensorflow before"):
            check_format(kind)


def test_other_names_of_formats() -> None:
    assert check_format("tflite") == check_format("litert") == "litert"
