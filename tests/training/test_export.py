"""Export of a run: written, read back, compared with Keras, explained."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.ensembling.combiners import METHODS
from kaggle_digits.ensembling.ensemble import ensemble_runs
from kaggle_digits.ensembling.ensemble_run import save_ensemble
from kaggle_digits.inference.predictor import Predictor, load_predictor
from kaggle_digits.models.formats import FILES, load_exported
from kaggle_digits.models.registry import register_function
from kaggle_digits.runs.run import Run
from kaggle_digits.training.export import export_run
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.train import train

TINY = Recipe("fast", widths=(4, 4, 8), epochs=1, batch_size=64, optimizer="sgd")


@pytest.fixture(scope="module")
def ensemble(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two recipes on two folds: four networks."""
    two = EnsembleRecipe(
        "two", (TINY, Recipe("dense", widths=(16,), epochs=2, optimizer="sgd")), folds=2
    )
    folder = tmp_path_factory.mktemp("runs")
    return train(dataset, two, Split("folds", folds=2), runs_dir=folder)


@pytest.mark.parametrize("kind", FILES)
def test_each_format_predicts_like_the_run_and_its_readme_works(
    kind: str, ensemble: Run, dataset: Dataset, tmp_path: Path
) -> None:
    done = export_run(ensemble, kind, tmp_path / "there", dataset.test.images)
    assert done.difference <= 1e-4
    assert done.n == 1_000
    images = dataset.test.images[:50]
    probabilities = load_exported(kind, done.path)(images)
    predictor = load_predictor(ensemble.path.parent, ensemble.name)
    assert np.allclose(probabilities, predictor.predict_proba(images), atol=1e-4)
    (code,) = re.findall(r"```python\n(.*?)```", (done.folder / "README.md").read_text(), re.DOTALL)
    several = code.replace("(1, 28, 28)", "(3, 28, 28)")
    ran = subprocess.run(
        [sys.executable, "-c", code + several], cwd=done.folder, capture_output=True, text=True
    )
    assert re.fullmatch(r"\[\d\]\n\[\d \d \d\]\n", ran.stdout), ran.stderr


def test_model_that_differs_from_keras_is_deleted(
    ensemble: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kaggle_digits.models.formats.load_exported",
        lambda kind, path: lambda images: np.zeros((len(images), 10)),
    )
    with pytest.raises(ModelError, match="differs from Keras"):
        export_run(ensemble, "litert", tmp_path / "there")
    assert not list(tmp_path.iterdir())


def test_existing_folder_unknown_format_and_sklearn_are_rejected(
    ensemble: Run, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="already exists"):
        export_run(ensemble, "litert", tmp_path)
    with pytest.raises(UsageError, match="`format='tfjs'` is unknown; one of: onnx, litert"):
        export_run(ensemble, "tfjs", tmp_path / "there")
    mlp = Recipe("mlp", widths=(8,), epochs=1, batch_size=100)
    run = train(dataset, mlp, Split(), runs_dir=tmp_path)
    with pytest.raises(ModelError, match="scikit-learn's mlp, which can only be exported as ONNX"):
        export_run(run, "litert", tmp_path / "there")
    runs = [Run(shutil.copytree(run.path, tmp_path / name)) for name in ("one", "two")]
    both = save_ensemble(
        ensemble_runs(runs, dataset.labels, "mean"), runs, dataset, "mean", runs_dir=tmp_path
    )
    with pytest.raises(ModelError, match=r"and alone: `kd\.export\('one', format='onnx'\)`"):
        export_run(both, "onnx", tmp_path / "there")
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(ModelError, match="and alone: train a run of it"):
        export_run(both, "onnx", tmp_path / "there")


def test_scikit_learn_is_exported_to_onnx(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    mlp = Recipe("mlp", widths=(8,), epochs=1, batch_size=100)
    run = train(dataset, mlp, Split("folds", folds=2), runs_dir=tmp_path, name="mlp")
    done = export_run(run, "onnx", tmp_path / "there", dataset.test.images)
    assert done.difference <= 1e-4
    assert done.library == "scikit-learn"
    probabilities = load_exported("onnx", done.path)(dataset.test.images)
    predictor = load_predictor(tmp_path, "mlp")
    assert np.allclose(probabilities, predictor.predict_proba(dataset.test.images), atol=1e-4)
    assert "differ from scikit-learn" in (done.folder / "README.md").read_text()
    users = Recipe(register_function(KNeighborsClassifier))
    run = train(dataset, users, Split(), runs_dir=tmp_path, name="users")
    assert export_run(run, "onnx", tmp_path / "users-onnx", dataset.test.images).difference <= 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_an_ensemble_of_runs_is_one_network(
    trained_run: Run, dataset: Dataset, tmp_path: Path, method: str
) -> None:
    runs = [Run(shutil.copytree(trained_run.path, tmp_path / name)) for name in ("one", "two")]
    ensemble = ensemble_runs(runs, dataset.labels, method)
    run = save_ensemble(ensemble, runs, dataset, method, runs_dir=tmp_path)
    kind = "onnx" if method == "vote" else "litert"
    exported = export_run(run, kind, tmp_path / "exported", dataset.test.images)
    probabilities = load_exported(kind, exported.path)(dataset.test.images)
    expected = Predictor(run).predict_proba(dataset.test.images)
    assert np.allclose(probabilities, expected, atol=1e-3)
