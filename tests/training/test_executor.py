"""Failed members of a run that is trained in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.training import executor
from kaggle_digits.training.fold import FoldTask, fit_fold
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.train import train


def fail_member(monkeypatch: pytest.MonkeyPatch, member: int, reason: str) -> None:
    """Let the training of member number ``member``, from 0, fail with ``reason``."""

    def fail_or_fit(task: FoldTask, *args: Any, **kwargs: Any) -> Any:
        if task.member == member:
            raise ModelError(reason)
        return fit_fold(task, *args, **kwargs)

    monkeypatch.setattr(executor, "fit_fold", fail_or_fit)


def test_command_names_the_failed_member(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_member(monkeypatch, 1, "the loss is no longer a number")
    folders = ["--data-dir", str(sample), "--runs-dir", str(tmp_path / "r")]
    folders += ["--submissions-dir", str(tmp_path / "s")]
    options = ["--epochs", "1", "--folds", "3", "--name", "a"]
    result = CliRunner().invoke(app, ["train", "--model", "mlp", *options, *folders])
    assert result.exit_code == 1
    assert "member 2 failed: the loss is no longer a number" in result.stderr
    assert "the metrics are those of the other 2" in " ".join(result.stderr.split())
    assert f"kd train {' '.join(folders)} --resume --name a" in " ".join(result.stderr.split())
    assert (tmp_path / "s/a.csv").is_file()
    monkeypatch.undo()
    result = CliRunner().invoke(app, ["train", "--resume", "--name", "a", *folders])
    assert result.exit_code == 0, result.stderr


def test_ensemble_is_scored_on_rows_that_all_architectures_predicted(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_member(monkeypatch, 3, "no")
    narrow, wide = (Recipe("mlp", widths=(n,), epochs=4, batch_size=100) for n in (16, 24))
    two_folds = Split("folds", folds=2)
    both = EnsembleRecipe("both", (narrow, wide), 2)
    run = train(dataset, both, two_folds, runs_dir=tmp_path)
    predicted = ~np.isnan(run.oof()).any(axis=1)
    assert set(np.flatnonzero(predicted)) == set(
        split(dataset.labels, Split("folds", folds=2))[0].val
    )
    assert run.metrics()["val_accuracy"] > 0.5
