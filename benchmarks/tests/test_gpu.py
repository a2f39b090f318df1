"""The table of the ablation: paired differences, and a training of several seeds at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import SETTINGS, Predictions, main, row
from kaggle_digits.data.dataset import load
from kaggle_digits.sources.fetch import fetch
from tests.support.trainings import run_on_jax


def test_differences_are_paired_by_seed() -> None:
    reference = {1: 100.0, 2: 110.0, 3: 90.0, 4: 95.0}
    better = {1: 90.0, 2: 101.0, 3: 79.0, 4: 85.0}
    text = row("better", "400", better, reference)
    assert "| 88.8 | -10.0 (-11.3 to -8.7) | 0.000 | 4 |" in text
    assert row("strong", "400", reference, reference) == "| strong | 400 | 98.8 | – | – | 4 |"
    assert row("new", "400", {}, reference) == "| new | 400 | – | – | – | 0 |"


def test_errors_are_counted_out_of_fold(tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is missing: pip install -e '.[jax]'")
    code = """
import sys
from pathlib import Path

from benchmarks.gpu import Setting, train_seeds
from kaggle_digits.data.dataset import load
from kaggle_digits.training.recipe import Recipe

dataset = load(Path(sys.argv[1]))
setting = Setting(Recipe("softmax", epochs=2, optimizer="sgd"), folds=2)
pictures = {"sample": (dataset.train.images, dataset.labels)}
found = train_seeds(dataset, setting, [100, 101], pictures)
assert found.seeds.tolist() == [100, 101]
errors = found.errors(dataset.labels)
assert all(0 < errors) and all(errors < 970), errors
assert ((0 < found.pictures) & (found.pictures < 970)).all(), found.pictures
"""
    fetch("sample", tmp_path)
    run_on_jax(code, tmp_path, tmp_path)


def test_the_reference_comes_first() -> None:
    assert next(iter(SETTINGS)) == "strong"


def test_averages_are_compared_with_the_published_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch("sample", tmp_path / "data")
    labels = load(tmp_path / "data").labels
    right = np.eye(10, dtype=np.float16)[labels]
    for name, rows_missed in (("strong", 3), ("published-network", 12)):
        probabilities = np.stack([right, right])
        probabilities[:, :rows_missed] = np.roll(right[:rows_missed], 1, axis=1)
        found = Predictions(np.array([100, 101]), probabilities, np.zeros((2, 0)))
        np.savez(tmp_path / f"{name}.npz", **found._asdict())
    words = ["gpu", "ensembles", "--data", str(tmp_path / "data"), "--keep", str(tmp_path)]
    words += ["--figure", str(tmp_path / "missed.png")]
    monkeypatch.setattr("sys.argv", words)
    main()
    printed = capsys.readouterr().out
    assert "| strong | 2 | 3 | 9, 0 | 0.004 |" in printed
    assert "| published network | 2 | 12 | 0, 0 | 1.000 |" in printed
    assert "3 rows are missed by all 4 networks" in printed
    assert (tmp_path / "missed.png").stat().st_size > 5000
