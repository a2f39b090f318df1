"""A run's models asked again: the same answers as when it was trained, from more views others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError, RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.models.base import load_classifier
from kaggle_digits.models.tta import predict_tta
from kaggle_digits.runs.run import Run
from kaggle_digits.training.predict import predict_oof, predict_test, recipe_tta
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train

MLP = Recipe("mlp", widths=(16,), epochs=2, batch_size=100)


@pytest.fixture(scope="module")
def repeated(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Twice two folds of 300 rows: each of those held out by two members."""
    how = Split("folds", folds=2, repeats=2, rows=300)
    return train(dataset, MLP, how, runs_dir=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copy(repeated: Run, tmp_path: Path) -> Run:
    """The same run, to be spoilt."""
    shutil.copytree(repeated.path, tmp_path / repeated.name)
    return Run(tmp_path / repeated.name)


def test_one_view_gives_what_the_training_left(repeated: Run, dataset: Dataset) -> None:
    found = predict_oof(repeated, dataset, 1)
    assert list(found) == [1]
    assert np.array_equal(found[1], repeated.oof(), equal_nan=True)
    assert np.isfinite(found[1]).all(axis=1).sum() == 300


def test_the_views_of_the_recipe_give_what_the_training_left(
    dataset: Dataset, tmp_path: Path
) -> None:
    recipe = Recipe("dense", widths=(16,), epochs=1, views=5)
    run = train(dataset, recipe, Split(), runs_dir=tmp_path)
    found = predict_oof(run, dataset, 9)
    assert list(found) == [1, 5, 9]
    assert np.array_equal(found[5], run.oof(), equal_nan=True)
    rows = np.flatnonzero(np.isfinite(found[1][:, 0]))
    network = load_classifier(run.member_folder(0))
    for views, probabilities in found.items():
        expected = predict_tta(network, dataset.train.images[rows], views, None)
        assert np.array_equal(probabilities[rows], expected)
    assert not np.allclose(found[1][rows], found[9][rows], atol=1e-4)
    assert np.array_equal(predict_test(run, dataset, 5), run.test())
    assert np.array_equal(predict_test(run, dataset), run.test())
    assert recipe_tta(run) == [5]


def test_all_rows_leave_nothing_to_predict(dataset: Dataset, tmp_path: Path) -> None:
    run = train(dataset, MLP, Split("all"), runs_dir=tmp_path)
    assert np.isnan(predict_oof(run, dataset, 5)[5]).all()


def test_what_cannot_be_predicted_again(copy: Run, dataset: Dataset) -> None:
    config = copy.config()
    with pytest.raises(UsageError, match="--tta 2 is not offered"):
        predict_oof(copy, dataset, 2)
    copy.write_config({**config, "split_fingerprint": "another"})
    with pytest.raises(RunError, match="held out cannot be found again"):
        predict_oof(copy, dataset, 1)
    copy.write_config({**config, "split": {"kind": "folds", "colour": "red"}})
    with pytest.raises(RunError, match=r"the split in .* cannot be read .*kd evaluate mlp-1"):
        predict_oof(copy, dataset, 1)
    copy.write_config({**config, "data": {**config["data"], "train_sha256": "0"}})
    with pytest.raises(RunError, match=r"another train\.csv"):
        predict_oof(copy, dataset, 1)
    copy.write_config(config)
    (copy.member_folder(3) / "model.skops").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.skops cannot be read"):
        predict_oof(copy, dataset, 1)
