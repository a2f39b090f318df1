"""kd compare, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.data.dataset import load
from tests.support import small_runs

kd = CliRunner()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name a data folder and a runs folder with the runs good, poor and all."""
    folder = tmp_path_factory.mktemp("compare")
    dataset = load(small_runs.write_data(folder / "data"))
    poor = small_runs.linear_oof(dataset)
    good = poor.copy()
    good[:200] = 0.01 + 0.9 * np.eye(10, dtype=np.float32)[dataset.labels[:200]]
    for name, answers in (("poor", poor), ("good", good)):
        small_runs.write_run(folder / "runs", dataset, answers, name)
    nothing = np.full_like(poor, np.nan)
    small_runs.write_run(folder / "runs", dataset, nothing, "all", split={"kind": "all"})
    return ["--data-dir", str(folder / "data"), "--runs-dir", str(folder / "runs")]


def test_a_table_words_and_a_picture(folders: list[str]) -> None:
    done = kd.invoke(app, ["compare", "poor", "good", *folders])
    assert done.exit_code == 0, done.output
    assert "The same 300 held-out rows, best first" in done.stdout
    assert "good is significantly better than poor" in done.stdout
    picture = Path(done.stdout.rstrip().rsplit("figure:", 1)[1].strip())
    assert picture.parts[-3:] == ("poor", "figures", "compare.png")
    assert picture.stat().st_size > 10_000


def test_json_and_a_picture_of_ones_own(folders: list[str], tmp_path: Path) -> None:
    picture = tmp_path / "two.svg"
    done = kd.invoke(app, ["compare", "good", "poor", *folders, "--json", "-o", str(picture)])
    found = json.loads(done.stdout)
    best, other = found["runs"]
    assert (best["run"], best["n"], best["against_best"]) == ("good", 300, None)
    assert other["against_best"]["gained"] > 0 == other["against_best"]["lost"]
    assert found["picture"] == str(picture)
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["good"], "at least two runs: kd compare RUN RUN"),
        (["good", "good"], "at least two runs: kd compare RUN RUN"),
        (["good", "missing"], "no run called missing"),
        (["good", "all"], "no held-out rows"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    folders: list[str], runs: list[str], said: str
) -> None:
    done = kd.invoke(app, ["compare", *runs, *folders])
    assert done.exit_code in {1, 2}
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_picture_of_theirs_stays_and_a_name_must_be_a_pictures(
    folders: list[str], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    done = kd.invoke(app, ["compare", "poor", "good", "-o", str(mine), *folders])
    assert (done.exit_code, mine.read_bytes()) == (2, b"mine")
    done = kd.invoke(app, ["compare", "poor", "good", "-o", str(tmp_path / "a.txt"), *folders])
    assert done.exit_code == 2
    assert "must end in .png, .svg, .pdf" in done.stderr
