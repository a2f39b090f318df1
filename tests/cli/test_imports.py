"""Commands import only the packages they need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.runs.files import write_probabilities
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import create_run
from kaggle_digits.sources.fetch import fetch
from tests.support.competition_files import data_folder, submission

HEAVY = (
    *("numpy", "pandas", "sklearn", "scipy", "matplotlib", "tensorflow", "keras", "kaggle"),
    *("optuna", "sqlalchemy"),
)
KERAS = ("tensorflow", "keras")
REPORT = """
import sys
from kaggle_digits.cli.main import app
unwanted = set(sys.argv[1].split())
for words in sys.argv[2:]:
    try:
        app(words.split())
    except SystemExit as end:
        assert not end.code, f"{words}: {end.code}"
    found = unwanted & set(sys.modules)
    assert not found, f"{words} imports {found}"
"""


def assert_not_imported(unwanted: Iterable[str], folder: Path, *commands: str) -> None:
    """Run ``kd`` with each of ``commands``, in one process, which must import no ``unwanted``."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, " ".join(unwanted), *commands],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the sample and two small runs with random predictions."""
    folder = tmp_path_factory.mktemp("work")
    fetch("sample", folder / "data")
    dataset = load(folder / "data")
    for seed, name in enumerate(("one", "two")):
        _make_run(folder / "runs", name, dataset, seed)
    return folder


def _make_run(runs_dir: Path, name: str, dataset: Dataset, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = {"train_sha256": dataset.train.sha256, "test_sha256": dataset.test.sha256}
    data = {"source": "sample", **hashes}
    with create_run(runs_dir, name, "") as run:
        run.write_config(
            {
                "name": name,
                "model": "made-by-hand",
                "members": 1,
                "split": {"kind": "folds", "folds": 3, "repeats": 1},
                "split_fingerprint": "same",
                "data": {**data, "test_sha256": dataset.test.sha256},
            }
        )
        for file, digits in (("oof.npy", dataset.train), ("test.npy", dataset.test)):
            probabilities = rng.dirichlet(np.ones(10), len(digits)).astype(np.float32)
            write_probabilities(run.path / file, probabilities)
            if file == "oof.npy":
                accuracy = float(np.mean(probabilities.argmax(1) == dataset.train.labels))
        metrics = {"val_accuracy": accuracy, "val_accuracy_ci95": [0.0, 0.2], "val_loss": 2.3}
        run.write_metrics({**metrics, "n_val": len(dataset.train), "train_seconds": 1.0})


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    with_help = ("train --help", "predict --help", "tune --help")
    assert_not_imported(HEAVY, tmp_path, "--help", "--version", *with_help)


def test_commands_without_keras_models_do_not_import_tensorflow(folder: Path) -> None:
    assert_not_imported(
        KERAS,
        folder,
        "runs",
        "study",
        "study scikit --quick",
        "compare one two",
        "labels one",
        "show 2 --run one",
        "runs one",
        "recipes",
        "ensemble one two",
        "ensemble one two --method stack",
        "inspect",
        "doctor --offline",
        "train --model mlp --epochs 1 --widths 8 --name light",
        "tune --model mlp --epochs 1 --trials 1 --rows 100 --name light",
    )


def test_classify_does_not_import_tensorflow(trained_run: Run, tmp_path: Path) -> None:
    Image.new("L", (40, 40), 255).save(tmp_path / "blank.png")
    command = f"classify blank.png --show --runs-dir {trained_run.path.parent}"
    assert_not_imported([*KERAS, "pandas", "sklearn"], tmp_path, command)


def test_submission_check_does_not_import_tensorflow(tmp_path: Path) -> None:
    path = submission(tmp_path / "submissions" / "dense-1.csv")
    data_folder(tmp_path / "data")
    code = (
        "import sys; from pathlib import Path; from kaggle_digits.cli import submit; "
        "from kaggle_digits.kaggle_api.validate import validate_submission; "
        "assert validate_submission(Path(sys.argv[1])).rows == 24; print(*sys.modules)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"tensorflow", "keras", "pandas", "sklearn", "kaggle"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, kaggle_digits; print(*[m for m in sys.modules if '.' not in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & set(HEAVY)
