"""kd labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.data.dataset import load
from tests.support import small_runs
from tests.support.commands import kd


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a data folder and a runs folder with the run ``small``."""
    folder = tmp_path_factory.mktemp("labels")
    dataset = load(small_runs.write_data(folder / "data"))
    small_runs.write_run(folder / "runs", dataset, small_runs.linear_oof(dataset))
    return ["--data-dir", str(folder / "data"), "--runs-dir", str(folder / "runs")]


def test_prints_labels_and_writes_table_and_figure(folders: list[str]) -> None:
    done = kd("labels", "small", *folders)
    assert done.exit_code == 0, done.output
    assert " of 300 held-out labels may be wrong" in done.stdout
    assert ": labelled " in done.stdout
    paths = dict(line.split(":", 1) for line in done.stdout.splitlines()[-2:])
    assert Path(paths["table"].strip()).name == "label-errors.csv"
    assert Path(paths["figure"].strip()).is_file()


def test_json_is_the_only_output(folders: list[str]) -> None:
    done = kd("labels", "small", *folders, "--json", "--svg")
    found = json.loads(done.stdout)
    assert (found["run"], found["n"]) == ("small", 300)
    first = found["label_errors"][0]
    assert first["label"] != first["suggested"]
    assert first["label_probability"] < first["confidence"] <= 1
    assert Path(found["table"]).read_text(encoding="utf-8").count("\n") == 1 + len(
        found["label_errors"]
    )
    assert "<svg" in Path(found["picture"]).with_suffix(".svg").read_text(encoding="utf-8")
    assert done.stderr == ""


def test_unknown_run_is_one_line(folders: list[str]) -> None:
    done = kd("labels", "missing", *folders)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "no run called missing" in done.stderr
