"""The table of the ablation: paired differences, and a training of several seeds at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu import SETTINGS, row
from kaggle_digits.sources.fetch import fetch
from tests.support.trainings import run_on_jax


def test_differences_are_paired_by_seed() -> None:
    reference = {"1": 100, "2": 110, "3": 90, "4": 95}
    better = {"1": 90, "2": 101, "3": 79, "4": 85}
    text = row("better", better, reference)
    assert "| 88.8 | -10.0 (-11.3 to -8.7) | 0.000 | 4 |" in text
    assert row("strong", reference, reference) == "| strong | 98.8 | – | – | 4 |"
    assert row("new", {}, reference) == "| new | – | – | – | 0 |"


def test_errors_are_counted_out_of_fold(tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is missing: pip install -e '.[jax]'")
    code = """
import sys
from pathlib import Path

from benchmarks.gpu import Setting, count_errors
from kaggle_digits.data.dataset import load
from kaggle_digits.training.recipe import Recipe

dataset, setting = load(Path(sys.argv[1])), Setting(Recipe("softmax", epochs=2), folds=2)
errors = count_errors(dataset, setting, [100, 101], rows=200)
assert set(errors) == {"100", "101"}, errors
assert all(0 < count < 180 for count in errors.values()), errors
"""
    fetch("sample", tmp_path)
    run_on_jax(code, tmp_path, tmp_path)


def test_the_reference_comes_first() -> None:
    assert next(iter(SETTINGS)) == "strong"
