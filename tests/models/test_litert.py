"""The same answers without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError
from kaggle_digits.models.litert import LITE_FILE, LiteClassifier, load_quickly, to_lite
from kaggle_digits.models.registry import BUILDERS, SCIKIT_MODELS
from tests.models.test_registry import IMAGES, classifier


@pytest.mark.parametrize("model", sorted(set(BUILDERS) - SCIKIT_MODELS))
def test_every_network_answers_as_in_keras(model: str) -> None:
    made = classifier(model)
    content = to_lite(made, IMAGES)
    assert content is not None
    lite = LiteClassifier(content)
    for images in (IMAGES, IMAGES[:1], IMAGES[3:10]):
        assert np.abs(lite.probabilities(images) - made.probabilities(images)).max() < 1e-4
    assert lite.probabilities(IMAGES[:0]).shape == (0, 10)


def test_a_scikit_model_has_none_and_is_read_by_its_own_package(tmp_path: Path) -> None:
    made = classifier("linear")
    assert to_lite(made, IMAGES) is None
    made.save(tmp_path)
    read = load_quickly(tmp_path)
    assert np.array_equal(read.probabilities(IMAGES), made.probabilities(IMAGES))


def test_what_answers_otherwise_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    other = to_lite(classifier("softmax"), IMAGES)
    assert other is not None
    monkeypatch.setattr("kaggle_digits.models.litert.convert", lambda function: other)
    assert to_lite(classifier("dense"), IMAGES) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / LITE_FILE).write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.tflite cannot be read"):
        load_quickly(tmp_path)
