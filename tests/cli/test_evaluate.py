"""kd evaluate, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.data.dataset import load
from tests.support import small_runs

kd = CliRunner()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name a data folder and a runs folder with the run ``small``."""
    folder = tmp_path_factory.mktemp("evaluate")
    dataset = load(small_runs.write_data(folder / "data"))
    small_runs.write_run(folder / "runs", dataset, small_runs.linear_oof(dataset))
    return ["--data-dir", str(folder / "data"), "--runs-dir", str(folder / "runs")]


def test_figures_and_where_the_report_is(folders: list[str]) -> None:
    done = kd.invoke(app, ["evaluate", "small", *folders])
    assert done.exit_code == 0, done.output
    for expected in ("small: accuracy", "300 held-out rows", "log loss", "most confused", "recall"):
        assert expected in done.stdout
    report = Path(done.stdout.rstrip().rsplit("report:", 1)[1].strip())
    assert report.is_file()
    assert "browser" in done.stderr


def test_json_is_one_object_and_nothing_else(folders: list[str]) -> None:
    done = kd.invoke(app, ["evaluate", "small", *folders, "--json", "--svg"])
    found = json.loads(done.stdout)
    for picture in map(Path, found["figures"].values()):
        assert "<svg" in picture.with_suffix(".svg").read_text(encoding="utf-8")
    again = kd.invoke(app, ["evaluate", "small", *folders])
    assert again.exit_code == 0, again.output
    assert not list(picture.parent.glob("*.svg"))  # of an evaluation before
    assert found["run"] == "small"
    assert found["n"] == sum(map(sum, found["confusion"])) == 300
    assert found["ci95"][0] < found["accuracy"] < found["ci95"][1]
    assert found["mistakes"][0]["line"] == found["mistakes"][0]["row"] + 2
    assert Path(found["report"]).is_file()
    assert done.stderr == ""


def test_unknown_run(folders: list[str]) -> None:
    done = kd.invoke(app, ["evaluate", "missing", *folders])
    assert done.exit_code == 1
    assert "no run called missing" in done.stderr
    assert "small" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_name_that_is_no_name(folders: list[str]) -> None:
    done = kd.invoke(app, ["evaluate", "../small", *folders])
    assert done.exit_code == 2


def test_tensorflow_is_not_imported(folders: list[str]) -> None:
    code = (
        "import sys; from kaggle_digits.cli.main import app; "
        f"app(['evaluate', 'small', *{folders!r}], standalone_mode=False); "
        "assert not {'tensorflow', 'keras', 'kaggle'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
