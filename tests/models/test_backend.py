"""Import of Keras and its backend, devices, precision and batch sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import DigitsError, ModelError, UsageError
from kaggle_digits.models import backend

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
assert "tensorflow" in sys.modules and "jax" not in sys.modules, "before"
import jax
assert jax.numpy.ones(2).sum() == 2
"""
OF_THE_USER = """
from pathlib import Path
from kaggle_digits.models.registry import find_builder
Path("own.py").write_text("from keras import Sequential as build")
find_builder("own:build")
"""
BROKEN = """
import os
os.write(2, b"a message of the loader\\n")
raise ImportError("libcudnn is broken")
"""
SETTINGS = """
import json, sys
from kaggle_digits.models.backend import keras
config = keras().config
def settings():
    names = ("floatx", "epsilon", "image_data_format", "max_epochs", "max_steps_per_epoch")
    return [getattr(config, name)() for name in names] + [config.dtype_policy().name]
first = settings()
config.set_floatx("float16")
config.set_epsilon(0.1)
config.set_image_data_format("channels_first")
config.set_dtype_policy("mixed_float16")
keras()
from keras.src.backend.config import keras_home
print(json.dumps([first, settings(), keras_home()]))
"""


@pytest.mark.parametrize(
    ("keras_json", "code"),
    [
        (
            {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"},
            TRAIN + (JAX_TOO if find_spec("jax") else ""),
        ),
        ({"floatx": "float8", "epsilon": "small", "backend": "torch"}, ""),
        ({"floatx": "float8", "epsilon": "small", "backend": "torch"}, OF_THE_USER),
    ],
)
def test_settings_of_the_user_do_not_change_ours(
    keras_json: dict[str, object], code: str, tmp_path: Path
) -> None:
    """Training, and importing Keras in a module of the user's, print nothing.

    Training does not import JAX and does not prevent it.
    """
    folder = tmp_path / ".keras"
    folder.mkdir()
    (folder / "keras.json").write_text(json.dumps(keras_json))
    env = {**os.environ, "HOME": str(tmp_path), "KERAS_MAX_EPOCHS": "1"}
    env["KERAS_MAX_STEPS_PER_EPOCH"] = "one"
    command = [sys.executable, "-c", code + SETTINGS]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    defaults = ["float32", 1e-7, "channels_last", None, None, "float32"]
    assert json.loads(done.stdout) == [defaults, defaults, str(folder)]
    assert json.loads((folder / "keras.json").read_text()) == keras_json


def test_keras_of_the_program_with_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(backend.keras().config, "backend", lambda: "jax")
    assert backend_name() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(ModelError, match="backend jax before, but kaggle-digits uses tensorflow"):
        backend._import_keras.__wrapped__()


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_jax_without_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    def fail() -> None:
        raise RuntimeError("Unable to initialize backend 'tpu':\nnothing")

    monkeypatch.setattr(jax, "devices", fail)
    with pytest.raises(ModelError, match=r"backend 'tpu': nothing\); unset JAX_PLATFORMS"):
        backend._start_jax()


def test_failing_import_prints_the_captured_text(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(BROKEN)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "from kaggle_digits.models.backend import keras\nkeras()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "a message of the loader" in done.stderr
    assert "ModelError: Keras cannot be imported (libcudnn is broken)" in done.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, ModelError("a fault of the user's")])
def test_ctrl_c_and_explained_errors_show_no_native_messages(
    error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((KeyboardInterrupt, ModelError)), backend.suppress_native_stderr():
        os.write(2, b"I0000 port.cc")
        raise error
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jax", r"KERAS_BACKEND=jax needs jax; install it: pip install .*jax"),
        ("tensorflow", r"except linear and mlp needs tensorflow; install it: pip install"),
        ("torch", "only tensorflow and jax are supported"),
        ("numpy", "cannot train; choose another: KERAS_BACKEND=tensorflow"),
    ],
)
def test_unavailable_backend_is_reported(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    if name != "numpy":
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DigitsError, match=message):
        backend._import_keras.__wrapped__()


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
