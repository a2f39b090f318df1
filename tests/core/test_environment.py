"""Facts about the machine, the packages and the Keras backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.core import environment
from kaggle_digits.core.environment import backend_name, gpus, versions


def test_backend_name_follows_the_configuration_of_keras(
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


def test_gpus_are_listed_by_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
