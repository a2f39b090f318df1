"""The run that kd ensemble leaves: every reader of runs takes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.atomic_io import read_json, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.ensembling.combiners import METHODS
from kaggle_digits.ensembling.ensemble import ensemble_runs
from kaggle_digits.ensembling.ensemble_run import save_ensemble
from kaggle_digits.evaluation.evaluate import load_oof
from kaggle_digits.inference.predictor import Predictor
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import list_runs
from kaggle_digits.training import pseudo_labels
from kaggle_digits.training.predict import predict_oof, predict_test
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import resume, train

FOLDS = Split("folds", folds=2)
SMALL = {"linear-1": Recipe("linear"), "mlp-1": Recipe("mlp", widths=(16,), epochs=20)}


@pytest.fixture(scope="module")
def runs(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two scikit-learn runs with the same folds, which no test changes."""
    folder = tmp_path_factory.mktemp("base")
    return [train(dataset, SMALL[name], FOLDS, runs_dir=folder, name=name) for name in SMALL]


def save(runs: list[Run], dataset: Dataset, folder: Path, method: str = "mean") -> Run:
    ensemble = ensemble_runs(runs, dataset.labels, method)
    return save_ensemble(ensemble, runs, dataset, method, runs_dir=folder)


@pytest.mark.parametrize("method", METHODS)
def test_an_ensemble_predicts_what_it_was_measured_with(
    runs: list[Run], dataset: Dataset, tmp_path: Path, method: str
) -> None:
    expected = ensemble_runs(runs, dataset.labels, method)
    run = save(runs, dataset, tmp_path, method)
    assert run.name == "ensemble-1"
    assert expected.score is not None
    assert run.metrics()["val_accuracy"] == expected.score.accuracy
    assert np.array_equal(run.oof(dataset.labels), expected.oof)
    assert np.allclose(predict_test(run, dataset), run.test(), atol=1e-5)
    assert np.allclose(predict_oof(run, dataset, 1)[1], run.oof(), atol=1e-5)
    images = dataset.test.images[:50]
    calibrated = apply_temperature(run.test()[:50], run.metrics()["temperature"])
    assert np.allclose(Predictor(run).predict_proba(images), calibrated, atol=1e-4)
    assert np.array_equal(load_oof(run, dataset), expected.oof, equal_nan=True)
    assert run.folds(dataset)[0].val.tolist() == runs[0].folds(dataset)[0].val.tolist()


def test_what_was_chosen_on_validation_rows_is_said(
    runs: list[Run], dataset: Dataset, tmp_path: Path
) -> None:
    texts = [save(runs, dataset, tmp_path, method).metrics()["epoch_choice"] for method in METHODS]
    for text, words in zip(
        texts, ("temperatures were", "linear-1: last", "whether weights", "the stack"), strict=True
    ):
        assert text.startswith(words) or words in text
        assert "mlp-1: last epoch, fixed beforehand" in text


def test_an_ensemble_of_ensembles_needs_none_of_their_folders(
    runs: list[Run], dataset: Dataset, tmp_path: Path
) -> None:
    copies = [Run(shutil.copytree(run.path, tmp_path / run.name)) for run in runs]
    inner = save(copies, dataset, tmp_path, "stack")
    outer = save([inner, copies[0]], dataset, tmp_path, "vote")
    first = copies[1].member_folder(0) / "model.skops"
    assert first.stat().st_nlink == 3, "not copied again"
    for run in (inner, *copies):
        shutil.rmtree(run.path)
    assert [run.name for run in list_runs(tmp_path)] == ["ensemble-2"]
    assert [run.name for run in outer.trained_runs()] == ["linear-1", "mlp-1", "linear-1"]
    assert len(outer.member_folders()) == outer.config()["members"] == 6
    assert np.allclose(predict_test(outer, dataset), outer.test(), atol=1e-5)


@pytest.mark.parametrize("change", ["missing", "changed"])
def test_a_missing_or_changed_run_is_one_line(
    runs: list[Run], dataset: Dataset, tmp_path: Path, change: str
) -> None:
    run = save(runs, dataset, tmp_path, "weighted")
    base = run.base_runs()[1]
    if change == "missing":
        shutil.rmtree(base.path)
    else:
        write_json(base.path / "config.json", {**base.config(), "seed": 5})
    again = (
        r"`kd.ensemble\('linear-1', 'mlp-1', method='weighted', name='ensemble-1', force=True\)`"
    )
    with pytest.raises(RunError, match=f"needs, (is|was) {change}; make the .* again: {again}"):
        Predictor(run)
    assert runs[1].config()["seed"] == 0, "a copy shares no file that is changed in place"
    (run.path / "test.npy").unlink()
    with pytest.raises(RunError, match=again):
        run.test()
    with pytest.raises(RunError, match="is an ensemble, which is not trained"):
        resume(dataset, runs_dir=tmp_path, name=run.name)


def test_a_leak_and_rows_that_were_all_trained_on_are_passed_on(
    runs: list[Run], dataset: Dataset, tmp_path: Path
) -> None:
    teacher = train(dataset, SMALL["linear-1"], Split(seed=3), runs_dir=tmp_path, name="teacher")
    pupil = train(
        dataset, SMALL["linear-1"], FOLDS, runs_dir=tmp_path, name="pupil", teacher=teacher
    )
    tainted = save([pupil, runs[0]], dataset, tmp_path)
    assert tainted.leak() == pupil.leak() is not None
    assert tainted.metrics()["val_accuracy"] is None
    assert tainted.metrics()["leak"] == pupil.leak()
    with pytest.raises(RunError, match="no out-of-fold predictions: labels of its validation"):
        load_oof(tainted, dataset)
    everything = train(dataset, SMALL["linear-1"], Split("all"), runs_dir=tmp_path, name="all")
    without = save([everything, runs[0]], dataset, tmp_path)
    assert without.config()["split"] == {"kind": "all"}
    with pytest.raises(RunError, match="trained on all labelled rows"):
        load_oof(without, dataset)


def test_pseudo_labels_of_an_ensemble_are_held_out_apart_only_with_the_same_folds(
    runs: list[Run], dataset: Dataset, tmp_path: Path
) -> None:
    run = save(runs, dataset, tmp_path)
    assert pseudo_labels.make(run, dataset, runs[0].folds(dataset)).held_out_apart
    other = train(
        dataset, SMALL["linear-1"], Split("folds", folds=2, seed=1), runs_dir=tmp_path, name="seed1"
    )
    mixed = save([other, runs[0]], dataset, tmp_path)
    assert mixed.config()["split_fingerprint"] is None
    assert mixed.config()["split"]["kind"] == "folds"
    assert mixed.metrics()["n_val"] == len(dataset.train)
    half = train(dataset, SMALL["linear-1"], Split(val_fraction=0.5), runs_dir=tmp_path)
    assert save([half, other], dataset, tmp_path).config()["split"] == {"kind": "mixed"}
    assert not pseudo_labels.make(mixed, dataset, runs[0].folds(dataset)).held_out_apart


def test_a_failed_write_leaves_no_run(
    runs: list[Run], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "write_metrics", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(runs, dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_leads_elsewhere_is_refused(
    runs: list[Run], dataset: Dataset, tmp_path: Path
) -> None:
    run = save(runs, dataset, tmp_path)
    config = read_json(run.path / "config.json")
    config["ensemble"]["runs"][0]["run"] = "../../other"
    write_json(run.path / "config.json", config)
    with pytest.raises(Exception, match="cannot name a run"):
        run.base_runs()
