"""Creating, opening and listing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.core.errors import RunError, StorageError, UsageError
from kaggle_digits.runs.run import Run, check_name
from kaggle_digits.runs.store import create_run, list_runs, open_run


def make(runs_dir: Path, name: str | None = None, *, force: bool = False) -> Run:
    """Create a run with a config.json."""
    with create_run(runs_dir, name, "dense", force=force) as run:
        run.write_config({"name": run.name, "members": 1})
    return run


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a.b", "", "a b", "-x", "x" * 65, "a\n"])
def test_invalid_names_are_rejected(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a run"):
        check_name(name)
    with pytest.raises(UsageError):
        make(tmp_path, name)
    with pytest.raises(UsageError):
        open_run(tmp_path, name)


def test_existing_run_is_replaced_only_with_force(tmp_path: Path) -> None:
    first = make(tmp_path, "mine")
    with pytest.raises(RunError, match=r"mine already exists .* `kd.resume.*, .*`force=True`"):
        make(tmp_path, "mine")
    make(tmp_path, "mine", force=True)
    assert [run.name for run in list_runs(tmp_path)] == ["mine", "mine-old-1"]
    assert open_run(tmp_path, "mine-old-1").config() == first.config()


def test_runs_without_a_name_are_numbered(tmp_path: Path) -> None:
    assert [make(tmp_path).name for _ in range(3)] == ["dense-1", "dense-2", "dense-3"]
    with create_run(tmp_path, None, "dense", is_taken=lambda name: name == "dense-4") as run:
        assert run.name == "dense-5"
    with create_run(tmp_path, None, "my.module:build") as run:
        assert run.name == "my-module-build-1"


def test_empty_folder_of_a_killed_process_is_reused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".lock").touch()
    (tmp_path / "mine" / ".config.0123.part.json").write_text("{")
    assert make(tmp_path, "mine").name == "mine"


def test_locked_run_cannot_be_written(tmp_path: Path) -> None:
    with create_run(tmp_path, "mine", "dense") as run:
        run.write_config({"members": 1})
        with pytest.raises(RunError, match="trained by another process"), Run(run.path).locked():
            pass
        with pytest.raises(RunError):
            make(tmp_path, "mine", force=True)
        assert make(tmp_path).name == "dense-1"
    with run.locked():
        pass


def test_unknown_run_lists_the_existing_ones(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none yet: `kd.train.dataset, 'dense'"):
        open_run(tmp_path, "mine")
    make(tmp_path, "other")
    with pytest.raises(RunError, match=r"no run called mine in .*; there are: other"):
        open_run(tmp_path, "mine")
    for number in range(9):
        make(tmp_path, f"run-{number}")
    with pytest.raises(RunError, match=r"run-6 and 2 more \(`kd.runs\(\)`\)"):
        open_run(tmp_path, "mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"empty has no config\.json: .* delete the folder yourself"):
        open_run(tmp_path, "empty")


def test_runs_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="in the way"):
        make(tmp_path / "runs", "mine")
