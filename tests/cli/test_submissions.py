"""kd submissions, and the better submission that kd submit names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.data.submission_csv import read_origin, write_origin
from tests.cli.test_submit import Folders
from tests.support.commands import kd
from tests.support.competition_files import submission
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import FakeKaggle, Fault

__all__ = ["home", "kaggle"]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """The submission dense-1.csv and cnn-1.csv with a higher accuracy; the first is newer."""
    folders = Folders(tmp_path)
    better = submission(folders.submissions / "cnn-1.csv", run="cnn-1", first=1)
    origin = read_origin(better)
    assert origin is not None
    write_origin(better, replace(origin, accuracy=0.99))
    folders.path.touch()
    return folders


def test_submissions_are_listed_with_score_and_rank(kaggle: FakeKaggle, folders: Folders) -> None:
    words = ["submissions", "--submissions-dir", str(folders.submissions)]
    done = kd(*words)
    assert done.exit_code == 0, done.output
    assert "97.65 % (97." in done.stdout
    assert "submissions left today: 10" in done.stdout
    assert "public rank" not in done.stdout
    folders.kd("dense-1", "--yes")
    kaggle.polls, kaggle.left = 0, 9
    done = kd(*words)
    assert "public rank: 512 of 1,540" in done.stdout
    assert "submissions left today: 9" in done.stdout
    row = next(line for line in done.stdout.splitlines() if "dense-1" in line)
    assert "0.98765" in row
    assert "complete" in row
    found = json.loads(kd(*words, "--json").stdout)
    assert (found["left_today"], found["public_rank"], found["teams"]) == (9, 512, 1540)
    assert [one["status"] for one in found["submissions"]] == ["complete", None]
    assert kaggle.count("GetCompetition") == 3


def test_without_kaggle_the_list_is_that_of_the_log(kaggle: FakeKaggle, folders: Folders) -> None:
    words = ["submissions", "--submissions-dir", str(folders.submissions)]
    kaggle.fail("ListSubmissions", Fault("status", 403), times=9)
    done = kd(*words)
    assert done.exit_code == 0
    assert "cnn-1.csv" in done.stdout
    assert done.stderr.startswith("without news from Kaggle: ")
    calls = len(kaggle.calls)
    assert kd(*words, "--offline").stderr == ""
    assert len(kaggle.calls) == calls
    empty = kd("submissions", "--offline", "--submissions-dir", str(folders.data / "none"))
    assert empty.exit_code == 0
    assert "no submission in" in empty.stderr


def test_submit_names_a_better_unsent_submission(kaggle: FakeKaggle, folders: Folders) -> None:
    better = folders.submissions / "cnn-1.csv"
    _, err = folders.kd("--yes")
    words = f"{better} has a higher validation accuracy, 99.00 % on 8,400 rows, and was not"
    assert words in " ".join(err.split())
    assert f"kd submit {folders.options} {better}" in " ".join(err.split())
    assert [one.file_name for one in kaggle.submissions] == ["dense-1.csv"], "what was asked for"
    _, err = folders.kd("cnn-1", "--yes")
    assert "higher validation accuracy" not in err
    other = submission(folders.submissions / "other.csv", first=2)
    _, err = folders.kd(other, "--yes")
    assert "higher validation accuracy" not in err, "it was sent"


def test_a_higher_accuracy_on_few_rows_is_not_called_better(
    kaggle: FakeKaggle, folders: Folders
) -> None:
    few = folders.submissions / "cnn-1.csv"
    origin = read_origin(few)
    assert origin is not None
    write_origin(few, replace(origin, n_val=100))  # 99 of 100 rows: 94.55–99.82 %
    _, err = folders.kd("dense-1", "--yes")
    assert "higher validation accuracy" not in err


def test_a_submission_of_other_data_is_never_better(kaggle: FakeKaggle, folders: Folders) -> None:
    better = folders.submissions / "cnn-1.csv"
    origin = read_origin(better)
    assert origin is not None
    write_origin(better, replace(origin, source="sample"))
    _, err = folders.kd("dense-1", "--yes")
    assert "higher validation accuracy" not in err
