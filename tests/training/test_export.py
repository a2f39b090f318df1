"""A run for other programs: written, read back, compared, explained."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.inference.predictor import load_predictor
from kaggle_digits.models.export import FILES, load_exported
from kaggle_digits.runs.run import Run
from kaggle_digits.training import export
from kaggle_digits.training.export import export_run
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.train import train

TINY = Recipe("strong-3x3", widths=(4, 4, 4, 8), epochs=1, batch_size=64, augment=None)


@pytest.fixture(scope="module")
def committee(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two designs on two folds: four networks."""
    two = EnsembleRecipe("two", (TINY, Recipe("dense", widths=(16,), epochs=2)), folds=2)
    folder = tmp_path_factory.mktemp("runs")
    return train(dataset, two, Split("folds", folds=2), runs_dir=folder)


@pytest.mark.parametrize("kind", FILES)
def test_each_format_answers_as_the_run_and_its_readme_works(
    kind: str, committee: Run, dataset: Dataset, tmp_path: Path
) -> None:
    done = export_run(committee, kind, tmp_path / "there", dataset.test.images)
    assert done.difference <= 1e-4
    assert done.n == 1_000
    images = dataset.test.images[:50]
    found = load_exported(kind, done.path)(images)
    reader = load_predictor(committee.path.parent, committee.name)
    assert np.allclose(found, reader.predict_proba(images), atol=1e-4)
    (code,) = re.findall(r"```python\n(.*?)```", (done.folder / "README.md").read_text(), re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=done.folder, capture_output=True, text=True
    )
    assert re.fullmatch(r"\[\d\]\n", ran.stdout), ran.stderr


def test_what_answers_otherwise_is_not_kept(
    committee: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        export, "load_exported", lambda kind, path: lambda images: np.zeros((len(images), 10))
    )
    with pytest.raises(ModelError, match="answers otherwise than Keras"):
        export_run(committee, "litert", tmp_path / "there")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_way_a_format_unknown_and_scikit(
    committee: Run, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="stands already"):
        export_run(committee, "litert", tmp_path)
    with pytest.raises(UsageError, match="--format tfjs is unknown; one of: onnx, litert"):
        export_run(committee, "tfjs", tmp_path / "there")
    mlp = Recipe("mlp", widths=(8,), epochs=1, batch_size=100)
    run = train(dataset, mlp, Split(), runs_dir=tmp_path)
    with pytest.raises(ModelError, match="scikit-learn's mlp"):
        export_run(run, "litert", tmp_path / "there")
