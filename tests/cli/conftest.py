"""Fixtures for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def work(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with KD_DATA_DIR set to the sample."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KD_DATA_DIR", str(sample))
    return tmp_path
