"""A folder with a trained run and the sample, which is the current folder of each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kaggle_digits as kd
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.runs.run import Run as RunFolder


@pytest.fixture
def folder(
    trained_run: RunFolder, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, with data/ and runs/dense."""
    shutil.copytree(sample, tmp_path / "data")
    shutil.copytree(trained_run.path, tmp_path / "runs" / "dense")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(trained_run: RunFolder, dataset: Dataset) -> kd.Run:
    """The read-only run of the session, with its data."""
    return kd.Run(trained_run.path, dataset)
