"""Pseudo-labels: confident predictions of test images, not influenced by validation labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.ensembling.ensemble import ensemble_runs
from kaggle_digits.runs.run import Run
from kaggle_digits.training import fold, pseudo_labels
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import resume, train
from tests.support.trainings import DENSE, MLP, StopAfter, identical

FOLDS = Split("folds", folds=3)


@pytest.fixture(scope="module")
def teacher(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An accurate run of three folds."""
    return train(
        dataset, DENSE.with_changes(epochs=8), FOLDS, runs_dir=tmp_path_factory.mktemp("t")
    )


def test_only_confident_predictions_become_labels(teacher: Run, dataset: Dataset) -> None:
    found = pseudo_labels.make(teacher, dataset, split(dataset.labels, FOLDS))
    assert found.held_out_apart
    assert found.labels.shape == (3, len(dataset.test))
    assert found.labels.dtype == np.int8
    assert set(np.unique(found.labels)) == set(range(pseudo_labels.UNLABELLED, 10))
    predictions = teacher.test().argmax(axis=1)
    for labels in found.labels:
        confident = labels != pseudo_labels.UNLABELLED
        assert 0.3 < confident.mean() < 1
        assert (labels[confident] == predictions[confident]).mean() > 0.98
    assert 0.9 < pseudo_labels.MIN_CONFIDENCE < 1


def test_labels_of_a_fold_come_from_models_not_trained_on_its_validation_rows(
    teacher: Run, dataset: Dataset
) -> None:
    found = pseudo_labels.make(teacher, dataset, split(dataset.labels, FOLDS))
    for number in range(3):
        own = np.load(teacher.member_folder(number) / "test.npy").argmax(axis=1)
        confident = found.labels[number] != pseudo_labels.UNLABELLED
        assert (found.labels[number][confident] == own[confident]).all()
    assert len({labels.tobytes() for labels in found.labels}) == 3


def test_another_split_uses_all_members_and_is_marked(teacher: Run, dataset: Dataset) -> None:
    found = pseudo_labels.make(teacher, dataset, split(dataset.labels, Split("folds", folds=2)))
    assert not found.held_out_apart
    assert (found.labels[0] == found.labels[1]).all()


def test_test_images_join_only_the_training_rows(
    teacher: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def recorded(recipe, images, labels, seed):  # type: ignore[no-untyped-def]
        seen.append((images, labels))
        return make_trainer(recipe, images, labels, seed)

    monkeypatch.setattr(fold, "make_trainer", recorded)
    run = train(dataset, MLP, FOLDS, teacher=teacher, runs_dir=tmp_path)
    config, labels = run.config(), np.load(run.path / pseudo_labels.FILE)
    assert config["pseudo"]["run"] == teacher.name
    assert config["pseudo"]["held_out_apart"] is True
    for fold_, (images, train_labels), fold_labels in zip(
        split(dataset.labels, FOLDS), seen, labels, strict=True
    ):
        confident = np.flatnonzero(fold_labels >= 0)
        assert np.array_equal(images[: len(fold_.train)], dataset.train.images[fold_.train])
        assert np.array_equal(images[len(fold_.train) :], dataset.test.images[confident])
        assert np.array_equal(train_labels[len(fold_.train) :], fold_labels[confident])
    assert config["pseudo"]["rows"] == [int((one >= 0).sum()) for one in labels]
    assert run.metrics()["n_val"] == len(dataset.train)


def test_resume_does_not_need_the_teacher(teacher: Run, dataset: Dataset, tmp_path: Path) -> None:
    uninterrupted = train(
        dataset, MLP, FOLDS, teacher=teacher, runs_dir=tmp_path / "a", name="student"
    )
    with pytest.raises(KeyboardInterrupt):
        train(
            dataset,
            MLP,
            FOLDS,
            teacher=teacher,
            runs_dir=tmp_path / "b",
            name="student",
            callback=StopAfter(1, 2),
        )
    assert identical(resume(dataset, runs_dir=tmp_path / "b"), uninterrupted)


def test_damaged_labels_are_reported(teacher: Run, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(dataset, MLP, FOLDS, teacher=teacher, runs_dir=tmp_path, callback=StopAfter(0, 1))
    (tmp_path / "mlp-1" / pseudo_labels.FILE).write_bytes(b"no array")
    with pytest.raises(RunError, match=r"pseudo\.npy is damaged .*; it cannot be restored: delete"):
        resume(dataset, runs_dir=tmp_path)
    for wrong in (np.zeros((1, 2), np.int8), np.full((3, len(dataset.test)), 10, np.int8)):
        np.save(tmp_path / "mlp-1" / pseudo_labels.FILE, wrong)
        with pytest.raises(RunError, match=r"pseudo\.npy is damaged"):
            resume(dataset, runs_dir=tmp_path)
    (tmp_path / "mlp-1" / pseudo_labels.FILE).unlink()
    with pytest.raises(RunError, match="train again"):
        resume(dataset, runs_dir=tmp_path)


def test_teacher_trained_on_other_data_is_rejected(teacher: Run, dataset: Dataset) -> None:
    other = replace(dataset, test=replace(dataset.test, sha256="another"))
    with pytest.raises(RunError, match=r"another test\.csv"):
        pseudo_labels.make(teacher, other, split(dataset.labels, FOLDS))


def test_leak_follows_through_any_number_of_runs(dataset: Dataset, tmp_path: Path) -> None:
    """On random labels, a run with a leak would report an accuracy far above one in ten."""
    labels = np.random.default_rng(0).integers(0, 10, len(dataset.train), np.uint8)
    noise = replace(dataset, train=replace(dataset.train, labels=labels))
    recipe = Recipe("linear")

    def run(name: str, split_config: Split, teacher: Run | None = None) -> Run:
        return train(noise, recipe, split_config, teacher=teacher, runs_dir=tmp_path, name=name)

    folds = Split("folds", folds=2, rows=200)
    teachers = {"a": run("a", Split("all", rows=200))}
    teachers["b"] = run("b", folds, teachers["a"])
    teachers["c"] = run("c", folds, teachers["b"])
    teachers["d"] = run("d", folds, teachers["c"])
    for name, known in (("b", ["a"]), ("c", ["b", "a"]), ("d", ["c", "b", "a"])):
        student, written = teachers[name], (tmp_path / name / "metrics.json").read_text()
        assert student.teachers() == known
        assert f"run {', which learned from run '.join(known)}" in str(student.leak())
        assert '"val_accuracy": null' in written
        assert '"leak": "labels of its' in written
    clean = run("clean", folds)
    assert run("student", folds, clean).leak() is None
    for method in ("mean", "vote"):
        ensemble = ensemble_runs([clean, teachers["d"]], labels, method)
        assert ensemble.leak == teachers["d"].leak()
        assert ensemble.score is None
    temperatures = ensemble_runs([clean, teachers["d"]], labels, "mean").temperatures
    assert temperatures is not None
    assert temperatures[1] == 1
    with pytest.raises(RunError, match=r"weighted.* cannot be fitted on run d: labels .* leaked"):
        ensemble_runs([clean, teachers["d"]], labels, "weighted")
