"""Kaggle's notebooks: their data are found, and everything is written below /kaggle/working."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kaggle_digits as kd
from kaggle_digits.cli.main import app
from kaggle_digits.core import platforms
from kaggle_digits.core.environment import cache_folder
from kaggle_digits.core.errors import DataError
from tests.support import small_runs


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /kaggle, with other data sets and without the competition's."""
    kaggle = tmp_path / "kaggle"
    for name in ("input/titanic", "working"):
        (kaggle / name).mkdir(parents=True)
    for name in ("train.csv", "test.csv"):
        (kaggle / "input/titanic" / name).write_text("PassengerId,Survived\n1,0\n")
    monkeypatch.setattr(platforms, "KAGGLE_FOLDER", kaggle)
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.chdir(tmp_path)
    return kaggle


def add_input(kaggle: Path, name: str) -> Path:
    """Add small files of the competition's form to the notebook's input, read-only."""
    folder = small_runs.write_data(kaggle / "input" / name)
    folder.chmod(0o555)
    return folder


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["digit-recognizer", "competitions/digit-recognizer", "me/copy/a"])
def test_data_are_found_and_nothing_is_written_elsewhere(name: str, notebook: Path) -> None:
    data = add_input(notebook, name)
    before = files_below(notebook / "input")
    words = ["train", "linear", "--rows", "200", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["folder"] == str(notebook / "working/runs/linear-1")
    assert result["submission"] == str(notebook / "working/submissions/linear-1.csv")
    assert files_below(notebook / "input") == before
    assert kd.fetch().folder == data
    assert len(kd.load().train) == small_runs.N_TRAIN
    assert kd.runs()[0].path == notebook / "working/runs/linear-1"
    assert cache_folder() == notebook / "working/.cache/kaggle-digits"
    assert set(notebook.parent.iterdir()) == {notebook}


def test_fetched_data_come_before_the_input(notebook: Path) -> None:
    data = add_input(notebook, "digit-recognizer")
    assert platforms.default_folder("data") == data
    report = kd.fetch("sample")
    assert report.folder == notebook / "working/data"
    assert platforms.default_folder("data") == report.folder


def test_sample_submission_may_be_missing_in_the_input(notebook: Path) -> None:
    data = add_input(notebook, "copy")
    data.chmod(0o755)
    (data / "sample_submission.csv").unlink()
    assert [file.name for file in kd.fetch().files] == ["train.csv", "test.csv"]
    assert kd.load().ids.tolist() == list(range(1, small_runs.N_TEST + 1))
    complete = add_input(notebook, "digit-recognizer")
    assert platforms.default_folder("data") == complete


def test_missing_input_says_where_to_click(notebook: Path) -> None:
    with pytest.raises(DataError, match=r'working/data; get the data with: "Add Input"'):
        kd.load()


def test_named_folders_and_other_machines_are_unchanged(
    notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_input(notebook, "digit-recognizer")
    monkeypatch.setenv("KD_DATA_DIR", "mine")
    assert platforms.default_folder("data") == Path("mine")
    monkeypatch.delenv("KD_DATA_DIR")
    shutil.rmtree(notebook / "working")
    assert platforms.default_folder("data") == Path("data")
    assert platforms.folder_variables() == {}
