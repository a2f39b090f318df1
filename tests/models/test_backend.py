"""Import of Keras and its backend, devices, precision and batch sizes."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.models import backend
from kaggle_digits.models.backend import keras

TRAIN = """
import numpy as np
from kaggle_digits.models.backend import keras
k = keras()
model = k.Sequential([k.Input((4,)), k.layers.Dense(3)])
model.compile(loss="mse")
model.fit(np.zeros((100, 4)), np.zeros((100, 3)), verbose=0)
model.predict(np.zeros((100, 4)), verbose=0)
"""
JAX_TOO = """
import sys
from kaggle_digits.models.backend import keras
keras().Sequential([keras().layers.Dense(3)])
assert "tensorflow" in sys.modules and "jax" not in sys.modules, "before"
import jax
assert jax.numpy.ones(2).sum() == 2
"""
BROKEN = """
import os
os.write(2, b"a message of the loader\\n")
raise ImportError("libcudnn is broken")
"""


def test_import_and_training_print_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_failing_import_prints_the_captured_text(tmp_path: Path) -> None:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text(BROKEN)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "from kaggle_digits.models.backend import keras\nkeras()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "a message of the loader" in done.stderr
    assert "ModelError: Keras cannot be imported (libcudnn is broken)" in done.stderr


def test_users_model_may_import_keras_first(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import keras\n\n\ndef small():\n    return 1\n")
    code = "from kaggle_digits.models.registry import find_builder\nfind_builder('mine:small')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_tensorflow_does_not_import_jax_and_does_not_prevent_it() -> None:
    done = subprocess.run([sys.executable, "-c", JAX_TOO], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("jax", r"backend jax cannot be imported .*pip install 'kaggle-digits\[jax\]'"),
        ("torch", "only tensorflow and jax are supported"),
        ("numpy", "cannot train; choose another: KERAS_BACKEND=tensorflow"),
    ],
)
def test_unavailable_backend_is_reported(
    backend: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setitem(sys.modules, backend, None)
    if backend == "numpy":
        monkeypatch.undo()
        monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ModelError, match=message):
        keras.__wrapped__()


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        (None, "float32"),
        ((6, 0), "float32"),
        ((7, 5), "float16"),
        ((8, 0), "bfloat16"),
        ((9, 0), "bfloat16"),
    ],
)
def test_precision_depends_on_the_compute_capability(
    capability: tuple[int, int] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "compute_capability", lambda: capability)
    assert backend.precision() == expected
    monkeypatch.setenv("KD_PRECISION", "float16")
    assert backend.precision() == "float16"
    monkeypatch.setenv("KD_PRECISION", "half")
    with pytest.raises(UsageError, match="KD_PRECISION=half is unknown; one of: float32"):
        backend.precision()


def test_gpu_uses_jit_and_larger_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (backend.use_jit(), backend.predict_batch_size()) == (False, backend.CPU_BATCH_SIZE)
    monkeypatch.setattr(backend, "first_gpu", lambda: "a GPU")
    assert (backend.use_jit(), backend.predict_batch_size()) == (True, backend.GPU_BATCH_SIZE)
