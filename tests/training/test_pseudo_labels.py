"""Pseudo-labels: test images that a run is sure of, never told by a validation row's label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.runs.run import Run
from kaggle_digits.training import fold
from kaggle_digits.training import pseudo_labels as pseudo_labels_module
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.pseudo_labels import CONFIDENT, NOT_SURE, pseudo_labels
from kaggle_digits.training.train import resume, train
from tests.training.test_train import DENSE, MLP, StopAfter, same

FOLDS = Split("folds", folds=3)


@pytest.fixture(scope="module")
def teacher(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three folds that is right nearly always."""
    return train(
        dataset, DENSE.with_changes(epochs=8), FOLDS, runs_dir=tmp_path_factory.mktemp("t")
    )


def test_only_sure_answers_become_labels(teacher: Run, dataset: Dataset) -> None:
    found = pseudo_labels(teacher, dataset, split(dataset.labels, FOLDS))
    assert found.held_out_apart
    assert found.labels.shape == (3, len(dataset.test))
    assert found.labels.dtype == np.int8
    assert set(np.unique(found.labels)) == set(range(NOT_SURE, 10))
    answers = teacher.test().argmax(axis=1)
    for labels in found.labels:
        sure = labels != NOT_SURE
        assert 0.3 < sure.mean() < 1
        assert (labels[sure] == answers[sure]).mean() > 0.98
    assert 0.9 < CONFIDENT < 1


def test_a_part_hears_only_members_that_never_saw_its_validation_rows(
    teacher: Run, dataset: Dataset
) -> None:
    found = pseudo_labels(teacher, dataset, split(dataset.labels, FOLDS))
    for part in range(3):
        own = np.load(teacher.member_folder(part) / "test.npy").argmax(axis=1)
        sure = found.labels[part] != NOT_SURE
        assert (found.labels[part][sure] == own[sure]).all()
    assert len({labels.tobytes() for labels in found.labels}) == 3


def test_another_split_hears_all_and_says_so(teacher: Run, dataset: Dataset) -> None:
    found = pseudo_labels(teacher, dataset, split(dataset.labels, Split("folds", folds=2)))
    assert not found.held_out_apart
    assert (found.labels[0] == found.labels[1]).all()


def test_test_images_join_the_training_rows_only(
    teacher: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(recipe, images, labels, seed):  # type: ignore[no-untyped-def]
        seen.append((images, labels))
        return make_trainer(recipe, images, labels, seed)

    monkeypatch.setattr(fold, "make_trainer", watched)
    run = train(dataset, MLP, FOLDS, pseudo=teacher, runs_dir=tmp_path)
    config, labels = run.config(), np.load(run.path / pseudo_labels_module.FILE)
    assert config["pseudo"]["run"] == teacher.name
    assert config["pseudo"]["held_out_apart"] is True
    for part, (images, learnt), known in zip(
        split(dataset.labels, FOLDS), seen, labels, strict=True
    ):
        sure = np.flatnonzero(known >= 0)
        assert np.array_equal(images[: len(part.train)], dataset.train.images[part.train])
        assert np.array_equal(images[len(part.train) :], dataset.test.images[sure])
        assert np.array_equal(learnt[len(part.train) :], known[sure])
    assert config["pseudo"]["rows"] == [int((known >= 0).sum()) for known in labels]
    assert run.metrics()["n_val"] == len(dataset.train)


def test_going_on_needs_the_teacher_no_more(teacher: Run, dataset: Dataset, tmp_path: Path) -> None:
    undisturbed = train(dataset, MLP, FOLDS, pseudo=teacher, runs_dir=tmp_path / "a", name="pupil")
    with pytest.raises(KeyboardInterrupt):
        train(
            dataset,
            MLP,
            FOLDS,
            pseudo=teacher,
            runs_dir=tmp_path / "b",
            name="pupil",
            callback=StopAfter(1, 2),
        )
    assert same(resume(dataset, runs_dir=tmp_path / "b"), undisturbed)


def test_lost_labels_are_named(teacher: Run, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(dataset, MLP, FOLDS, pseudo=teacher, runs_dir=tmp_path, callback=StopAfter(0, 1))
    (tmp_path / "mlp-1" / pseudo_labels_module.FILE).write_bytes(b"no array")
    with pytest.raises(RunError, match=r"pseudo\.npy cannot be read"):
        resume(dataset, runs_dir=tmp_path)
    np.save(tmp_path / "mlp-1" / pseudo_labels_module.FILE, np.zeros((1, 2), np.int8))
    with pytest.raises(RunError, match="train the run again"):
        resume(dataset, runs_dir=tmp_path)


def test_a_teacher_of_other_data_is_refused(teacher: Run, dataset: Dataset) -> None:
    other = replace(dataset, test=replace(dataset.test, sha256="another"))
    with pytest.raises(RunError, match=r"another test\.csv"):
        pseudo_labels(teacher, other, split(dataset.labels, FOLDS))
