"""Which backend and which device Keras computes on, and what follows from it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core import environment
from kaggle_digits.core.environment import backend_name, gpus, versions
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.dataset import load
from kaggle_digits.models import backend
from kaggle_digits.models.backend import keras
from kaggle_digits.models.export import check_format
from kaggle_digits.training import augmentation
from kaggle_digits.training.augmentation import Augmentation, augment_images


def test_the_backend_is_found_as_keras_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert backend_name() == "tensorflow"
    settings = tmp_path / "keras.json"
    settings.write_text('{"backend": "jax"}')
    assert backend_name() == "jax"
    assert "jax" in versions()
    settings.write_text("{")
    assert backend_name() == "tensorflow"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert (backend_name(), versions()["backend"]) == ("torch", "torch")


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("jax", r"backend jax cannot be imported .*pip install 'kaggle-digits\[jax\]'"),
        ("torch", "only tensorflow and jax are promised"),
        ("numpy", "trains nothing; choose another: KERAS_BACKEND=tensorflow"),
    ],
)
def test_a_backend_that_is_not_there_is_explained(
    backend: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setitem(sys.modules, backend, None)
    if backend == "numpy":
        monkeypatch.undo()
        monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ModelError, match=says):
        keras.__wrapped__()


def test_jax_writes_no_format_that_tensorflow_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    check_format("saved_model")
    for kind in ("onnx", "litert"):
        with pytest.raises(UsageError, match="put KERAS_BACKEND=tensorflow before"):
            check_format(kind)


def test_the_cards_are_those_that_the_driver_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == ()
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'Tesla T4,  15360 MiB'\necho 'Tesla T4, 15360 MiB'\n")
    driver.chmod(0o755)
    assert gpus() == ("Tesla T4, 15360 MiB",) * 2
    assert environment.hardware()["gpu"] == "Tesla T4, 15360 MiB; Tesla T4, 15360 MiB"
    driver.write_text("#!/bin/sh\necho 'no devices were found'\nexit 6\n")
    assert gpus() == ()
    assert "gpu" not in environment.hardware()


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (None, "float32"),
        ((6, 0), "float32"),
        ((7, 5), "float16"),
        ((8, 0), "bfloat16"),
        ((9, 0), "bfloat16"),
    ],
)
def test_precision_is_what_the_card_has_units_for(
    card: tuple[int, int] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "compute_capability", lambda: card)
    assert backend.precision() == expected
    monkeypatch.setenv("KD_PRECISION", "float16")
    assert backend.precision() == "float16"
    monkeypatch.setenv("KD_PRECISION", "half")
    with pytest.raises(UsageError, match="KD_PRECISION=half is unknown; one of: float32"):
        backend.precision()


def test_a_gpu_is_given_more_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (backend.use_jit(), backend.predict_batch_size()) == (False, backend.CPU_BATCH_SIZE)
    monkeypatch.setattr(backend, "first_gpu", lambda: "a card")
    assert (backend.use_jit(), backend.predict_batch_size()) == (True, backend.GPU_BATCH_SIZE)


def test_digits_are_moved_alike_where_xla_knows_no_warp(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, images = Augmentation(rotation=20), load(sample).train.images[:50]
    by_tensorflow = augment_images(how, images, 2, seed=3)
    monkeypatch.setattr(augmentation, "use_jit", lambda: True)
    ours = augment_images(how, images, 2, seed=3)
    assert np.abs(ours.astype(int) - by_tensorflow).max() <= 1
    assert np.abs(ours.astype(int) - images).mean() > 10
