"""kd inspect, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from tests.support import small_runs

kd = CliRunner()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return small_runs.write_data(tmp_path / "data")


def test_tables_and_pictures(data_dir: Path) -> None:
    done = kd.invoke(app, ["inspect", "--data-dir", str(data_dir)])
    assert done.exit_code == 0, done.output
    for expected in ("train.csv", "300", "785", "0–240", "duplicate rows", "also in train.csv"):
        assert expected in done.stdout
    assert {path.name for path in (data_dir / "figures").iterdir()} == {
        "class-balance.png",
        "first-digits.png",
        "random-digits.png",
        "mean-digits.png",
    }


def test_json_is_one_object_and_nothing_else(data_dir: Path) -> None:
    done = kd.invoke(app, ["inspect", "--json"], env={"KD_DATA_DIR": str(data_dir)})
    found = json.loads(done.stdout)
    assert found["train"]["rows"] == 300
    assert found["test"]["rows"] == 60
    assert sum(found["classes"]) == 300
    assert all(Path(path).is_file() for path in found["figures"])
    assert done.stderr == ""


def test_no_data(tmp_path: Path) -> None:
    done = kd.invoke(app, ["inspect", "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "kd fetch" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_facts_are_shown_where_pictures_cannot_be_saved(data_dir: Path) -> None:
    (data_dir / "figures").write_text("in the way")
    done = kd.invoke(app, ["inspect", "--data-dir", str(data_dir)])
    assert done.exit_code == 1
    assert "duplicate rows" in done.stdout
    assert "in the way" in done.stderr


def test_a_recipe_adds_a_picture_of_its_augmentation(data_dir: Path) -> None:
    done = kd.invoke(app, ["inspect", "--recipe", "strong", "--data-dir", str(data_dir)])
    assert done.exit_code == 0, done.output
    assert "mean-digits.png, augmentation-strong.png" in done.stdout
    assert (data_dir / "figures" / "augmentation-strong.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("cnn", "recipe cnn has no augmentation"),
        ("best", "best is an ensemble recipe"),
        ("nonsense", "no recipe called 'nonsense'"),
    ],
)
def test_a_recipe_that_moves_nothing_is_refused(data_dir: Path, recipe: str, said: str) -> None:
    done = kd.invoke(app, ["inspect", "--recipe", recipe, "--data-dir", str(data_dir)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "strong" in done.stderr
    assert "peer-notebook" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (data_dir / "figures").exists()
