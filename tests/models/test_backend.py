"""Keras is imported without noise, and without hiding what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

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
os.write(2, b"the loader's own words\\n")
raise ImportError("libcudnn is broken")
"""


def test_nothing_is_said_on_stderr() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_failing_import_gives_back_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text(BROKEN)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "from kaggle_digits.models.backend import keras\nkeras()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "the loader's own words" in done.stderr
    assert "ModelError: Keras cannot be imported (libcudnn is broken)" in done.stderr


def test_a_model_of_ones_own_may_import_keras_first(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import keras\n\n\ndef small():\n    return 1\n")
    code = "from kaggle_digits.models.registry import find_builder\nfind_builder('mine:small')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_tensorflow_does_not_bring_jax_and_does_not_keep_it_out() -> None:
    done = subprocess.run([sys.executable, "-c", JAX_TOO], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
