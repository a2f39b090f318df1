"""kd compare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.data.dataset import load
from tests.support import small_runs
from tests.support.commands import assert_error, kd


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a data folder and a runs folder with the runs good, poor and all."""
    folder = tmp_path_factory.mktemp("compare")
    dataset = load(small_runs.write_data(folder / "data"))
    poor = small_runs.linear_oof(dataset)
    good = poor.copy()
    good[:200] = 0.01 + 0.9 * np.eye(10, dtype=np.float32)[dataset.labels[:200]]
    for name, predictions in (("poor", poor), ("good", good)):
        small_runs.write_run(folder / "runs", dataset, predictions, name)
    nothing = np.full_like(poor, np.nan)
    small_runs.write_run(folder / "runs", dataset, nothing, "all", split={"kind": "all"})
    leak = {"run": "teacher", "held_out_apart": False, "teachers": ["teacher", "all"]}
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    small_runs.write_run(folder / "runs", dataset, perfect, "pupil", pseudo=leak)
    return ["--data-dir", str(folder / "data"), "--runs-dir", str(folder / "runs")]


def test_prints_table_and_conclusion_and_writes_figure(folders: list[str]) -> None:
    done = kd("compare", "poor", "good", *folders)
    assert done.exit_code == 0, done.output
    assert "The same 300 held-out rows, best first" in done.stdout
    assert "good is significantly better than poor" in done.stdout
    picture = Path(done.stdout.rstrip().rsplit("figure:", 1)[1].strip())
    assert picture.parts[-3:] == ("poor", "figures", "compare.png")
    assert picture.stat().st_size > 10_000


def test_json_and_output_file(folders: list[str], tmp_path: Path) -> None:
    picture = tmp_path / "two.svg"
    done = kd("compare", "good", "poor", *folders, "--json", "-o", str(picture))
    found = json.loads(done.stdout)
    best, other = found["runs"]
    assert (best["run"], best["n"], best["against_best"]) == ("good", 300, None)
    assert other["against_best"]["gained"] > 0 == other["against_best"]["lost"]
    assert found["picture"] == str(picture)
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert done.stderr == ""


def test_svg_with_all_is_refused_because_the_page_has_no_figure(folders: list[str]) -> None:
    assert_error(kd("compare", "--all", "--svg", *folders), 2, "leave it out")


def test_run_with_a_leak_is_marked_and_never_the_best(folders: list[str]) -> None:
    done = kd("compare", "pupil", "poor", "good", *folders)
    assert done.exit_code == 0, done.output
    assert "pupil (leak)" in done.stdout
    assert "pupil is not compared: labels of its validation rows leaked" in done.stdout
    assert "good is significantly better than poor" in done.stdout
    assert "than pupil" not in done.stdout
    found = json.loads(kd("compare", "pupil", "good", *folders, "--json").stdout)
    best, last = found["runs"]
    assert (best["run"], best["leak"]) == ("good", None)
    assert (last["run"], last["accuracy"], last["leaked_accuracy"]) == ("pupil", None, 1)
    assert "run teacher, which learned from run all" in last["leak"]
    alone = kd("compare", "pupil", "pupil", "good", *folders)
    assert alone.exit_code == 0, alone.output


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["good"], "at least two runs: kd compare FOLDERS RUN RUN"),
        (["good", "good"], "at least two runs: kd compare FOLDERS RUN RUN"),
        (["good", "missing"], "no run called missing"),
        (["good", "all"], "no held-out rows"),
    ],
)
def test_invalid_comparisons_are_one_line(
    folders: list[str], runs: list[str], message: str
) -> None:
    done = kd("compare", *runs, *folders)
    assert done.exit_code in {1, 2}
    assert message.replace("FOLDERS", " ".join(folders)) in done.stderr
    assert done.stderr.count("\n") == 1


def test_page_about_all_runs(folders: list[str], tmp_path: Path) -> None:
    runs_dir = Path(folders[3])
    (runs_dir / "damaged").mkdir(exist_ok=True)
    (runs_dir / "damaged" / "config.json").write_text("[]")
    page = tmp_path / "all.html"
    done = kd("compare", "--all", "-o", str(page), *folders)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if "%" in line and "(95" not in line] == [
        *("good", "poor", "pupil")
    ]
    assert "(95 % interval)  rows" in done.stdout
    assert next(line for line in lines if line.startswith("good")).split()[4] == "300"
    assert "pupil is not compared: labels of its validation rows leaked" in done.stderr
    assert "all is not compared: run all was trained on all labelled rows" in done.stderr
    assert "damaged is not compared" in done.stderr
    text = page.read_text(encoding="utf-8")
    assert "5 runs compared" in text
    assert text.count('class="tainted">leaked') == 2
    assert "significantly worse" in text
    assert "kd train" in text  # advice, in the words of the command line
    assert "`" not in text
    assert kd("compare", "--all", "-o", str(page), *folders).exit_code == 2, "it exists"
    found = json.loads(kd("compare", "--all", "--json", *folders).stdout)
    assert found["page"] == str(runs_dir / "compare.html")
    runs = {run["run"]: run for run in found["runs"]}
    assert runs["good"]["n"] == 300
    assert runs["poor"]["against_best"]["gained"] > 0
    assert (runs["pupil"]["accuracy"], runs["pupil"]["leaked_accuracy"]) == (None, 1)
    assert kd("compare", "--all", "good", *folders).exit_code == 2
    assert kd("compare", *folders).exit_code == 2


def test_existing_file_stays_and_suffix_must_be_an_image_format(
    folders: list[str], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    done = kd("compare", "poor", "good", "-o", str(mine), *folders)
    assert (done.exit_code, mine.read_bytes()) == (2, b"mine")
    done = kd("compare", "poor", "good", "-o", str(tmp_path / "a.txt"), *folders)
    assert done.exit_code == 2
    assert "must end in .png, .svg, .pdf" in done.stderr
