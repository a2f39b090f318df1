"""Predictions of a finished run's models, at every level of test-time augmentation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError, RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.models.base import load_classifier
from kaggle_digits.models.tta import predict_tta
from kaggle_digits.runs.run import Run
from kaggle_digits.training.predict import predict_oof, predict_test
from kaggle_digits.training.recipe import Recipe, run_recipe
from kaggle_digits.training.train import train
from tests.support.trainings import FOLDS, MLP


@pytest.fixture(scope="module")
def repeated(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two folds of 300 rows, repeated twice: two members hold out each row."""
    split_config = Split("folds", folds=2, repeats=2, rows=300)
    return train(
        dataset, MLP.with_changes(epochs=2), split_config, runs_dir=tmp_path_factory.mktemp("runs")
    )


@pytest.fixture
def copy(repeated: Run, tmp_path: Path) -> Run:
    """A copy of the run, to be damaged."""
    shutil.copytree(repeated.path, tmp_path / repeated.name)
    return Run(tmp_path / repeated.name)


def test_predict_oof_without_tta_reproduces_oof_npy(repeated: Run, dataset: Dataset) -> None:
    found = predict_oof(repeated, dataset, 1)
    assert list(found) == [1]
    assert np.array_equal(found[1], repeated.oof(), equal_nan=True)
    assert np.isfinite(found[1]).all(axis=1).sum() == 300


def test_tta_of_the_recipe_reproduces_oof_and_test_npy(dataset: Dataset, tmp_path: Path) -> None:
    recipe = Recipe("dense", widths=(16,), epochs=1, optimizer="sgd", views=5)
    run = train(dataset, recipe, Split(), runs_dir=tmp_path)
    found = predict_oof(run, dataset, 9)
    assert list(found) == [1, 5, 9]
    assert np.array_equal(found[5], run.oof(), equal_nan=True)
    rows = np.flatnonzero(np.isfinite(found[1][:, 0]))
    network = load_classifier(run.member_folder(0))
    for views, probabilities in found.items():
        expected = predict_tta(network, dataset.train.images[rows], views, None)[views]
        assert np.array_equal(probabilities[rows], expected)
    assert not np.allclose(found[1][rows], found[9][rows], atol=1e-4)
    assert np.array_equal(predict_test(run, dataset, 5), run.test())
    assert np.array_equal(predict_test(run, dataset), run.test())
    assert [one.views for one in run_recipe(run).recipes] == [5]


def test_iterator_over_the_folders_is_used_up(repeated: Run, dataset: Dataset) -> None:
    """Its progress display ends with it."""
    ended = []

    def each(folders: Sequence[Path]) -> Iterator[Path]:
        yield from folders
        ended.append(len(folders))

    predict_test(repeated, dataset, each=each)
    predict_oof(repeated, dataset, 1, each=each)
    assert ended == [4, 4]


def test_run_on_all_rows_has_no_oof_predictions(dataset: Dataset, tmp_path: Path) -> None:
    run = train(dataset, MLP.with_changes(epochs=2), Split("all"), runs_dir=tmp_path)
    assert np.isnan(predict_oof(run, dataset, 5)[5]).all()


def test_predict_oof_rejects_other_data_and_damaged_files(copy: Run, dataset: Dataset) -> None:
    config = copy.config()
    with pytest.raises(UsageError, match="`tta=2` is not offered"):
        predict_oof(copy, dataset, 2)
    copy.write_config({**config, "split_fingerprint": "another"})
    with pytest.raises(RunError, match="validation rows of run mlp-1 cannot be reproduced"):
        predict_oof(copy, dataset, 1)
    copy.write_config({**config, "split": {"kind": "folds", "colour": "red"}})
    with pytest.raises(
        RunError, match=r"settings that this version does not know.*`kd.evaluate\('mlp-1'\)`"
    ):
        predict_oof(copy, dataset, 1)
    copy.write_config({**config, "data": {**config["data"], "train_sha256": "0"}})
    with pytest.raises(RunError, match=r"another train\.csv"):
        predict_oof(copy, dataset, 1)
    copy.write_config(config)
    (copy.member_folder(3) / "model.skops").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.skops cannot be read"):
        predict_oof(copy, dataset, 1)


def test_ensemble_predict_test_reproduces_test_npy(ensemble: Run, dataset: Dataset) -> None:
    assert np.allclose(predict_test(ensemble, dataset), ensemble.test(), atol=1e-5)


def test_ensemble_predict_oof_uses_the_saved_weights(ensemble: Run, dataset: Dataset) -> None:
    folds, expected = split(dataset.labels, FOLDS), np.zeros((len(dataset.train), 10))
    for number, design in enumerate(ensemble.metrics()["designs"]):
        for fold_number, fold in enumerate(folds):
            folder = ensemble.member_folder(3 * number + fold_number)
            validation = np.load(folder / "validation.npy")
            calibrated = apply_temperature(validation, design["temperature"])
            expected[fold.val] += design["weight"] * calibrated
    assert np.allclose(predict_oof(ensemble, dataset, 1)[1], expected, atol=1e-5)
