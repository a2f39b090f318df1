"""kd fetch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from tests.support.competition_files import data_folder
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import KEY, FakeKaggle, Fault

__all__ = ["home", "kaggle"]


def kd(*args: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert KEY not in result.output
    return result.stdout, result.stderr


def test_from_kaggle(kaggle: FakeKaggle, tmp_path: Path) -> None:
    out, err = kd("fetch", "--data-dir", tmp_path / "data")
    assert out.splitlines()[0].startswith("train.csv: 40 rows")
    assert out.splitlines()[-1] == f"source: kaggle, in {tmp_path / 'data'}"
    assert "using the API key of someone in the variables" in err
    assert "downloading train.csv" in err
    assert "warning: train.csv is not the file" in err
    out, err = kd("fetch", "--data-dir", tmp_path / "data")
    assert "already there" in out
    assert "downloading" not in err


def test_json_report(kaggle: FakeKaggle, tmp_path: Path) -> None:
    out, _ = kd("fetch", "--data-dir", tmp_path / "data", "--json")
    report = json.loads(out)
    assert report["source"] == "kaggle"
    assert report["files"]["test.csv"]["rows"] == 24


def test_sample_needs_no_account(home: Path, tmp_path: Path) -> None:
    out, err = kd("fetch", "--source", "sample", "--data-dir", tmp_path / "data")
    assert "train.csv: 1,078 rows" in out
    assert "next: kd inspect" in err


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("status", 403), "competitions/digit-recognizer/rules"),
        (Fault("status", 401), "kaggle.com/settings"),
        (Fault("html"), "is not from Kaggle"),
        (Fault("silent"), "did not answer in time"),
        (Fault("status", 500), "internal error"),
    ],
)
def test_failures_are_one_line(
    kaggle: FakeKaggle, tmp_path: Path, fault: Fault, message: str
) -> None:
    kaggle.fail("ListDataFiles", fault, times=9)
    out, err = kd("fetch", "--data-dir", tmp_path / "data", code=1)
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert not list((tmp_path / "data").glob("*.csv"))


def test_no_credential(home: Path, tmp_path: Path) -> None:
    _, err = kd("fetch", "--data-dir", tmp_path / "data", code=1)
    assert "no Kaggle credential found" in err
    assert f"without an account: kd fetch --data-dir {tmp_path / 'data'} sample" in err


def test_files_of_another_source_are_kept(home: Path, tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    before = (data / "train.csv").read_bytes()
    _, err = kd("fetch", "--source", "sample", "--data-dir", data, code=1)
    assert "--force" in err
    assert (data / "train.csv").read_bytes() == before


def test_invalid_options(home: Path, tmp_path: Path) -> None:
    kd("fetch", "--source", "nowhere", "--data-dir", tmp_path / "data", code=2)
    kd("fetch", "--timeout", "0", "--data-dir", tmp_path / "data", code=2)
