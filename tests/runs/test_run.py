"""The files of one run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core import trust
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.files import write_probabilities
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import create_run
from tests.support.locks import NO_LOCKS, hold, without_locks

__all__ = ["without_locks"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run folder with a config.json only."""
    folder = tmp_path / "mine"
    folder.mkdir()
    write_json(folder / "config.json", {"name": "mine", "members": 1})
    return Run(folder)


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00"])
def test_damaged_file_is_named(run: Run, damage: str) -> None:
    run.write_metrics({"val_accuracy": 1})
    for name in ("config.json", "metrics.json", "oof.npy"):
        (run.path / name).write_text(damage)
    for read in (run.config, run.metrics, run.oof):
        with pytest.raises(RunError, match=r"mine/(config|metrics|oof)\.\w+ is damaged"):
            read()


def test_missing_file_names_the_command_that_makes_it(run: Run) -> None:
    with pytest.raises(RunError, match=r"not finished; resume it: `kd.resume.dataset, name='mine'"):
        run.metrics()
    for read in (run.oof, run.test, run.read_history):
        with pytest.raises(RunError, match="is missing; finish the run"):
            read()


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 9), np.float32), np.zeros((3, 10)), np.zeros(30, np.float32)]
)
def test_array_of_wrong_shape_or_dtype_is_damaged(run: Run, wrong: np.ndarray) -> None:
    np.save(run.path / "test.npy", wrong)
    with pytest.raises(RunError, match=r"test\.npy is damaged"):
        run.test()


def test_pickled_array_is_not_loaded(run: Run) -> None:
    np.save(run.path / "test.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(RunError, match="damaged"):
        run.test()


@pytest.mark.parametrize("name", ["config.json", "members", "members/0/model.keras", "test.npy"])
def test_link_out_of_the_run_is_rejected_without_trust(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write_json(outside / "config.json", {"members": 1})
    folder = tmp_path / "run"
    (folder / name).parent.mkdir(parents=True)
    target = outside if name == "members" else outside / "config.json"
    if name != "config.json":
        write_json(folder / "config.json", {"members": 1})
    (folder / name).symlink_to(target)
    with pytest.raises(RunError, match="a link that leads out of the run"):
        Run(folder).config()
    monkeypatch.setenv(trust.VARIABLE, "1")
    assert Run(folder).config()["members"] == 1


def test_link_inside_the_run_and_link_to_the_run_are_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / "config.json", {"members": 1})
    (folder / "copy.json").symlink_to("config.json")
    (tmp_path / "elsewhere").symlink_to(folder)
    assert Run(tmp_path / "elsewhere").config()["members"] == 1


@pytest.mark.parametrize("without_locks", NO_LOCKS, indirect=True)
def test_run_of_a_killed_process_can_be_resumed_without_file_locks(
    run: Run, without_locks: int
) -> None:
    process = hold(run.path / ".lock", without_locks)
    with pytest.raises(RunError, match="is being trained by another process"), run.locked():
        pass
    process.kill()
    process.communicate()
    for _ in range(2):
        with run.locked():
            pass


def test_oof_must_have_the_rows_and_accuracy_that_the_run_records(run: Run) -> None:
    run.write_config({"members": 1, "data": {"n_train": 4}})
    labels = np.arange(4, dtype=np.uint8)
    oof = np.eye(10, dtype=np.float32)[labels]
    write_probabilities(run.path / "oof.npy", oof)
    run.write_metrics({"n_val": 4, "val_accuracy": 1.0})
    assert np.array_equal(run.oof(labels), oof)
    with pytest.raises(RunError, match="its accuracy is not the one in metrics"):
        run.oof(labels[::-1])
    oof[0] = np.nan
    write_probabilities(run.path / "oof.npy", oof)
    with pytest.raises(RunError, match=r"predictions of 3 rows, metrics\.json of 4"):
        run.oof()
    write_probabilities(run.path / "oof.npy", oof[1:])
    with pytest.raises(RunError, match=r"float32 \(3, 10\) instead of float32 \(4, 10\)"):
        run.oof()


def test_links_in_a_circle_are_rejected(run: Run) -> None:
    (run.path / "one").symlink_to("two")
    (run.path / "two").symlink_to("one")
    assert run.config()["members"] == 1  # they lead nowhere
    (run.path / "metrics.json").symlink_to("one")
    assert not run.finished


def with_pseudo_labels(runs_dir: Path, name: str, **pseudo: object) -> Run:
    """Create a finished run that was trained on pseudo-labels."""
    with create_run(runs_dir, name, "") as run:
        run.write_config({"members": 1, "pseudo": pseudo or None})
        run.write_metrics({"val_accuracy": 1.0, "val_accuracy_ci95": [0.9, 1.0], "n_val": 9})
    return run


def test_leak_is_recorded_and_hides_the_accuracy(tmp_path: Path) -> None:
    clean = with_pseudo_labels(tmp_path, "clean", run="a", held_out_apart=True, teachers=["a"])
    assert clean.leak() is None
    assert clean.metrics()["val_accuracy"] == 1
    run = with_pseudo_labels(tmp_path, "c", run="b", held_out_apart=False, teachers=["b", "a"])
    assert run.leak() == (
        "labels of its validation rows leaked through the pseudo-labels of run b, which learned "
        "from run a"
    )
    metrics = run.metrics()
    assert metrics["val_accuracy"] is metrics["val_accuracy_ci95"] is None
    assert (metrics["leaked_accuracy"], metrics["leak"]) == (1, run.leak())
    run.write_metrics(metrics)
    assert run.metrics() == metrics


def test_run_of_an_older_version_has_the_leak_of_its_teacher(tmp_path: Path) -> None:
    """It recorded only its own teacher, and whether that one had the same folds."""
    with_pseudo_labels(tmp_path, "clean")
    first = with_pseudo_labels(tmp_path, "first", run="clean", held_out_apart=True)
    second = with_pseudo_labels(tmp_path, "second", run="first", held_out_apart=True)
    assert first.leak() is second.leak() is None
    with_pseudo_labels(tmp_path, "bad", run="clean", held_out_apart=False)
    pupil = with_pseudo_labels(tmp_path, "pupil", run="bad", held_out_apart=True)
    grandchild = with_pseudo_labels(tmp_path, "grandchild", run="pupil", held_out_apart=True)
    lost = with_pseudo_labels(tmp_path, "lost", run="deleted", held_out_apart=True)
    circle = with_pseudo_labels(tmp_path, "circle", run="circle", held_out_apart=True)
    for run in (pupil, grandchild, lost, circle):
        assert "leaked through the pseudo-labels" in str(run.leak())
