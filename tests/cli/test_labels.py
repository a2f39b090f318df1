"""kd labels."""

from __future__ import annotations

import json
import shutil
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
    done = kd("labels", *folders)
    assert done.exit_code == 0, done.output
    assert done.stderr.endswith("--run small\n")
    assert " of 300 held-out labels may be wrong" in done.stdout
    assert ": labelled " in done.stdout
    total, shown = int(done.stdout.split()[1]), done.stdout.count(": labelled ")
    assert total > shown
    assert f"\nand {total - shown} more, in the table\n" in done.stdout
    assert "the confidences are after temperature scaling" in done.stdout
    paths = dict(line.split(":", 1) for line in done.stdout.splitlines()[-2:])
    assert Path(paths["table"].strip()).name == "label-errors.csv"
    assert Path(paths["figure"].strip()).is_file()
    table = Path(paths["table"].strip())
    table.write_text("line\n2\n")
    edited = table.with_stem("label-errors-old-1")
    assert f"the table that was there is now {edited}\n" in kd("labels", *folders).stderr
    assert edited.read_text() == "line\n2\n"


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


def test_lines_are_those_of_a_file_with_empty_lines(folders: list[str], tmp_path: Path) -> None:
    before = json.loads(kd("labels", "small", *folders, "--json").stdout)["label_errors"]
    data = tmp_path / "data"
    shutil.copytree(folders[1], data)
    header, *rows = (data / "train.csv").read_bytes().splitlines(keepends=True)
    (data / "train.csv").write_bytes(header + b"\n\n" + b"\n".join(rows))
    runs = tmp_path / "runs"
    dataset = load(data)
    small_runs.write_run(runs, dataset, small_runs.linear_oof(dataset))
    options = ["--data-dir", str(data), "--runs-dir", str(runs), "--json"]
    after = json.loads(kd("labels", "small", *options).stdout)["label_errors"]
    assert [row["line"] for row in after] == [2 * row["line"] for row in before]
    (worst, *_) = json.loads(kd("evaluate", "small", *options).stdout)["mistakes"]
    assert worst["line"] == 2 * (worst["row"] + 2)
