"""LiteRT models predict what Keras predicts; tests/training/test_export.py writes each format."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from kaggle_digits.core import progress
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.models.base import (
    NORMALIZATIONS,
    KerasClassifier,
    SklearnClassifier,
    fit_normalizer,
)
from kaggle_digits.models.formats import (
    LITERT_FILE,
    LiteRTClassifier,
    check_format,
    load_exported,
    load_for_inference,
    to_litert,
    write_sklearn_onnx,
)
from kaggle_digits.models.registry import BUILDERS, SKLEARN_MODELS
from tests.models.test_registry import IMAGES, LABELS, classifier


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


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_onnx_predicts_as_scikit_learn(normalize: str, tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    normalizer = fit_normalizer(normalize, IMAGES)
    classifiers = []
    for present in (range(10), range(8)):  # the second never saw two of the digits
        rows = np.isin(LABELS, present)
        fitted = SklearnClassifier(LogisticRegression(), normalizer)
        fitted.estimator.fit(fitted.features(IMAGES[rows]), LABELS[rows])
        classifiers.append(fitted)
    mean = np.mean([classifier.predict_proba(IMAGES) for classifier in classifiers], axis=0)
    path = write_sklearn_onnx(classifiers, 0.7, tmp_path)
    probabilities = load_exported("onnx", path)(IMAGES)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities, apply_temperature(mean, 0.7), atol=1e-5)


def test_estimator_that_onnx_lacks_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    own = SklearnClassifier(
        DummyClassifier().fit(IMAGES.reshape(80, -1), LABELS), fit_normalizer("unit", IMAGES)
    )
    with pytest.raises(ModelError, match="DummyClassifier cannot be written as onnx"):
        write_sklearn_onnx([own], 1.0, tmp_path)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(UsageError, match="ONNX needs skl2onnx; install it: pip install"):
        check_format("onnx")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(UsageError, match="needs ai-edge-litert; install it: pip install ai-edge"):
        check_format("tflite")


def test_keras_reads_models_if_litert_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = classifier("softmax")
    network.save(tmp_path)
    (tmp_path / LITERT_FILE).write_bytes(to_litert(network, IMAGES) or b"")
    notes = list[str]()
    monkeypatch.setattr(progress, "note", notes.append)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    models = [load_for_inference(tmp_path) for _ in range(2)]
    assert all(isinstance(model, KerasClassifier) for model in models)
    assert [note for note in notes if "pip install ai-edge-litert" in note] == notes[:1]


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
