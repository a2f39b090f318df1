"""The same answers without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError
from kaggle_digits.models.litert import LITERT_FILE, LiteRTClassifier, load_for_inference, to_litert
from kaggle_digits.models.registry import BUILDERS, SKLEARN_MODELS
from tests.models.test_registry import IMAGES, classifier


@pytest.mark.parametrize("model", sorted(set(BUILDERS) - SKLEARN_MODELS))
def test_every_network_answers_as_in_keras(model: str) -> None:
    made = classifier(model)
    content = to_litert(made, IMAGES)
    assert content is not None
    lite = LiteRTClassifier(content)
    for images in (IMAGES, IMAGES[:1], IMAGES[3:10]):
        assert np.abs(lite.predict_proba(images) - made.predict_proba(images)).max() < 1e-4
    assert lite.predict_proba(IMAGES[:0]).shape == (0, 10)


def test_a_scikit_model_has_none_and_is_read_by_its_own_package(tmp_path: Path) -> None:
    made = classifier("linear")
    assert to_litert(made, IMAGES) is None
    made.save(tmp_path)
    read = load_for_inference(tmp_path)
    assert np.array_equal(read.predict_proba(IMAGES), made.predict_proba(IMAGES))


def test_what_answers_otherwise_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    other = to_litert(classifier("softmax"), IMAGES)
    assert other is not None
    monkeypatch.setattr("kaggle_digits.models.litert.convert", lambda function: other)
    assert to_litert(classifier("dense"), IMAGES) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / LITERT_FILE).write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.tflite cannot be read"):
        load_for_inference(tmp_path)
