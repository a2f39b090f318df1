"""Training rows from a folder of labelled pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import DataError, RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import split
from kaggle_digits.ensembling.ensemble import ensemble_runs
from kaggle_digits.ensembling.ensemble_run import save_ensemble
from kaggle_digits.imaging.labelled_folder import save_drawing
from kaggle_digits.inference.predictor import classify_picture, load_predictor
from kaggle_digits.runs.run import Run
from kaggle_digits.training import extra_rows
from kaggle_digits.training.train import resume, train
from tests.support.labelled import write_labelled
from tests.support.pictures import draw_digit, encode
from tests.support.trainings import FOLDS, MLP, identical

QUICK = MLP.with_changes(epochs=1)


def test_rows_are_prepared_as_for_classify_and_only_trained_on(
    dataset: Dataset, trained_run: Run, tmp_path: Path
) -> None:
    extra = extra_rows.prepare(write_labelled(tmp_path, [1, 4, 7]))
    predictor = load_predictor(trained_run.path.parent)
    expected = [classify_picture(predictor, draw_digit(digit)).image for digit in (1, 4, 7)]
    assert np.array_equal(extra[:, 1:], np.reshape(expected, (3, 784)))
    assert extra[:, 0].tolist() == [1, 4, 7]
    folds = split(dataset.labels, FOLDS)
    rows, longer = extra_rows.append(dataset.train, folds, extra)
    n = len(dataset.train)
    for before, after in zip(folds, longer, strict=True):
        assert np.array_equal(after.val, before.val)
        assert after.train.tolist() == [*before.train, n, n + 1, n + 2]
    assert np.array_equal(rows.images[:n], dataset.train.images)
    assert np.array_equal(rows.images[n:], expected)
    assert rows.labels is not None
    assert rows.labels[n:].tolist() == [1, 4, 7]


def test_resume_trains_on_the_same_rows_or_refuses(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "drawings", [1, 4, 7])
    run = train(dataset, QUICK, FOLDS, extra=folder, runs_dir=tmp_path, name="whole")
    plain = train(dataset, QUICK, FOLDS, runs_dir=tmp_path, name="plain")
    assert plain.config()["split_fingerprint"] == run.config()["split_fingerprint"]
    assert not np.array_equal(plain.test(), run.test())
    cut = Run(tmp_path / "cut")
    shutil.copytree(run.path, cut.path)
    shutil.rmtree(cut.path / "members" / "2")
    shutil.rmtree(folder)  # the run has the rows itself
    resume(dataset, runs_dir=tmp_path, name="cut")
    assert identical(cut, run)
    shutil.rmtree(cut.path / "members" / "2")
    path = cut.path / extra_rows.FILE
    table = np.load(path)
    np.save(path, table[::-1])
    with pytest.raises(RunError, match="other rows than those that the run was started with"):
        resume(dataset, runs_dir=tmp_path, name="cut")
    path.unlink()
    with pytest.raises(RunError, match=extra_rows.FILE):
        resume(dataset, runs_dir=tmp_path, name="cut")


def test_students_and_ensembles_of_the_run_are_counted(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "drawings", [7])
    teacher = train(dataset, QUICK, FOLDS, extra=folder, runs_dir=tmp_path)
    student = train(dataset, QUICK, FOLDS, teacher=teacher, runs_dir=tmp_path)
    assert (teacher.extra_rows(), student.extra_rows()) == (1, 1)
    both = ensemble_runs([teacher, student], dataset.labels, "mean")
    saved = save_ensemble(both, [teacher, student], dataset, "mean", runs_dir=tmp_path)
    assert saved.extra_rows() == 2


def test_what_cannot_be_added(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, [])
    save_drawing(folder, encode(draw_digit(1, pen=255)), 1)
    with pytest.raises(DataError, match=r"0001\.png: no digit found\), so there is nothing to add"):
        extra_rows.prepare(folder)
    (folder / "0001.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"0001\.png is not a readable picture"):
        extra_rows.prepare(folder)
