"""Deleting, renaming and annotating runs."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.submission_csv import read_origin, write_origin
from kaggle_digits.kaggle_api.submission_log import LogEntry, read_log, update_log
from kaggle_digits.runs.manage import remove_run, rename_run, set_note
from kaggle_digits.runs.run import Run, RunLockedError
from kaggle_digits.runs.store import create_run, list_runs, open_run
from kaggle_digits.runs.submission_files import is_own, submission_path, write_run_submission
from tests.support.locks import without_locks
from tests.support.small_runs import write_run
from tests.support.windows import windows_files

__all__ = ["windows_files", "without_locks"]


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path) -> Run:
    """The finished run ``one`` in runs/, with its submission in submissions/."""
    oof = np.full((len(dataset.train), 10), 0.1, np.float32)
    run = write_run(tmp_path / "runs", dataset, oof, "one")
    run.write_metrics({"val_accuracy": 0.5, "n_val": len(oof)})
    write_run_submission(run, dataset, submission_path(tmp_path / "submissions", "one"))
    return run


def test_a_renamed_run_takes_its_submission_log_and_pupils_along(
    run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    runs_dir, submissions_dir = run.path.parent, tmp_path / "submissions"
    path = submission_path(submissions_dir, "one")
    before = path.read_bytes()
    entry = LogEntry(
        "2026-01-01T00:00:00+00:00", "one.csv", "ab", "one", 0.5, 9, 1, "complete", 0.9, "m"
    )
    update_log(submissions_dir, lambda _: [entry, replace(entry, run="one + two", message="n")])
    teachers = {"run": "one", "teachers": ["one", "other"], "held_out_apart": True}
    pupil = write_run(runs_dir, dataset, run.oof(), "pupil", pseudo=teachers)
    assert rename_run(runs_dir, submissions_dir, "one", "new") == submissions_dir / "new.csv"
    assert [each.name for each in list_runs(runs_dir)] == ["new", "pupil"]
    assert open_run(runs_dir, "new").config()["name"] == "new"
    assert (submissions_dir / "new.csv").read_bytes() == before
    origin = read_origin(submissions_dir / "new.csv")
    assert origin is not None
    assert origin.runs == ["new"]
    assert sorted(p.name for p in submissions_dir.glob("*.*") if p.name[0] != ".") == [
        *("log.csv", "new.csv", "new.json")
    ]
    assert [each.run for each in read_log(submissions_dir)] == ["new", "new + two"]
    assert pupil.teachers() == ["new", "other"]


def test_the_submission_of_a_renamed_ensemble_is_still_its_own(run: Run, tmp_path: Path) -> None:
    path = submission_path(tmp_path / "submissions", "one")
    origin = read_origin(path)
    assert origin is not None
    write_origin(path, replace(origin, runs=["a", "b"], method="mean", ensemble="one"))
    assert rename_run(run.path.parent, path.parent, "one", "new") == path.with_stem("new")
    assert is_own(path.with_stem("new"), "new")


def test_a_submission_that_was_changed_keeps_its_name(run: Run, tmp_path: Path) -> None:
    path = submission_path(tmp_path / "submissions", "one")
    path.write_text("mine")
    assert rename_run(run.path.parent, path.parent, "one", "new") is None
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("new", "error", "message"),
    [
        ("one", RunError, "runs/one already exists"),
        ("taken", RunError, "taken.csv already exists"),
        ("log", UsageError, "kd itself uses the name"),
        ("a b", UsageError, "cannot name a run"),
        ("con", UsageError, "device of Windows"),
    ],
)
def test_other_names_are_refused(
    run: Run, tmp_path: Path, new: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "submissions" / "taken.csv").touch()
    with pytest.raises(error, match=message):
        rename_run(run.path.parent, tmp_path / "submissions", "one", new)
    assert run.finished


def test_a_run_in_use_is_left_alone(run: Run, tmp_path: Path) -> None:
    runs_dir = run.path.parent
    with run.locked():
        busy = partial(pytest.raises, RunError, match="being trained by another process")
        with busy():
            remove_run(runs_dir, "one")
        with busy():
            rename_run(runs_dir, tmp_path / "submissions", "one", "new")
        with busy():
            set_note(runs_dir, "one", "text")
    assert run.finished
    assert "note" not in run.config()


def test_a_removed_run_is_gone_and_its_submission_stays(run: Run, tmp_path: Path) -> None:
    remove_run(run.path.parent, "one")
    assert not list(run.path.parent.iterdir())
    assert submission_path(tmp_path / "submissions", "one").exists()
    with pytest.raises(RunError, match="no run called one"):
        remove_run(run.path.parent, "one")


def test_a_link_to_a_run_is_removed_and_not_the_run(run: Run) -> None:
    (run.path.parent / "link").symlink_to(run.path)
    remove_run(run.path.parent, "link")
    assert run.finished


def test_a_note_changes_nothing_else(run: Run) -> None:
    before = json.loads((run.path / "config.json").read_text())
    set_note(run.path.parent, "one", "first try")
    assert json.loads((run.path / "config.json").read_text()) == before | {"note": "first try"}
    set_note(run.path.parent, "one", "")
    assert run.config()["note"] is None


def test_windows_moves_a_run_that_is_locked(
    windows_files: None, run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    runs_dir = run.path.parent
    with (runs_dir / "one" / "open").open("w"), pytest.raises(PermissionError):
        run.path.rename(runs_dir / "two")
    rename_run(runs_dir, tmp_path / "submissions", "one", "two")
    with create_run(runs_dir, "two", "", force=True) as new:
        assert new.path == runs_dir / "two"
        with pytest.raises(RunLockedError), Run(new.path).locked():
            pass
        new.write_config({"name": "two"})
    remove_run(runs_dir, "two-old-1")
    assert [one.name for one in list_runs(runs_dir)] == ["two"]


def test_without_file_locks_no_owner_moves_along(
    without_locks: int, run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    runs_dir = run.path.parent
    rename_run(runs_dir, tmp_path / "submissions", "one", "two")
    with create_run(runs_dir, "two", "", force=True):
        pass
    assert (runs_dir / "two-old-1").is_dir()
    assert not list(runs_dir.rglob("*.owner"))
