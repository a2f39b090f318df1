"""Keras' files that bring code, or lead to other files: refused, and nothing ran or was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaggle_digits.models.base import load_classifier
from tests.robustness.hostile_models import evil_keras, sound_network, tried


def test_no_strangers_code_runs_and_no_file_outside_is_read(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    files = list(evil_keras(tmp_path, f"touch '{mark}'"))
    files = [*files[:-20:4], *files[-20:]]
    row = tried(tmp_path, mark, "keras", "model.keras", files)
    assert row.bad == 0, row
    assert row.times > 30
    # What calls itself otherwise, but is the network all the same, may be read.
    assert "1 loaded without harm" in row.measured, row


def test_a_sound_one_is_read(tmp_path: Path) -> None:
    sound_network(tmp_path)
    assert load_classifier(tmp_path).predict_proba(np.zeros((1, 28, 28), np.uint8)).shape == (1, 10)
