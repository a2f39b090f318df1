"""kd inspect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import small_runs
from tests.support.commands import kd
from tests.support.disks import ReadOnly, read_only

__all__ = ["read_only"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return small_runs.write_data(tmp_path / "data")


def test_prints_tables_and_writes_figures(data_dir: Path) -> None:
    done = kd("inspect", "--data-dir", str(data_dir))
    assert done.exit_code == 0, done.output
    for expected in ("train.csv", "300", "785", "0–240", "duplicate rows", "also in train.csv"):
        assert expected in done.stdout
    assert {path.name for path in (data_dir / "figures").iterdir()} == {
        "class-balance.png",
        "first-digits.png",
        "random-digits.png",
        "mean-digits.png",
    }


def test_json_is_the_only_output(data_dir: Path) -> None:
    done = kd("inspect", "--json", env={"KD_DATA_DIR": str(data_dir)})
    found = json.loads(done.stdout)
    assert found["train"]["rows"] == 300
    assert found["test"]["rows"] == 60
    assert sum(found["classes"]) == 300
    assert all(Path(path).is_file() for path in found["figures"])
    assert done.stderr == ""


def test_missing_data_is_one_line(tmp_path: Path) -> None:
    done = kd("inspect", "--data-dir", str(tmp_path))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "kd fetch" in done.stderr
    assert done.stderr.count("\n") == 1


def test_tables_are_printed_even_if_figures_cannot_be_saved(data_dir: Path) -> None:
    (data_dir / "figures").write_text("in the way")
    done = kd("inspect", "--data-dir", str(data_dir))
    assert done.exit_code == 1
    assert "duplicate rows" in done.stdout
    assert "in the way" in done.stderr


def test_recipe_adds_a_figure_of_its_augmentation(data_dir: Path) -> None:
    done = kd("inspect", "--recipe", "strong", "--data-dir", str(data_dir))
    assert done.exit_code == 0, done.output
    assert "mean-digits.png, augmentation-strong.png" in done.stdout
    assert (data_dir / "figures" / "augmentation-strong.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("cnn", "recipe cnn has no augmentation"),
        ("best", "recipe best has no augmentation of its own"),
        ("nonsense", "no recipe called 'nonsense'"),
    ],
)
def test_recipe_without_augmentation_is_refused(data_dir: Path, recipe: str, message: str) -> None:
    done = kd("inspect", "--recipe", recipe, "--data-dir", str(data_dir))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "strong" in done.stderr
    assert "peer-notebook" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (data_dir / "figures").exists()


def test_figures_of_a_read_only_folder_go_into_the_working_folder(
    data_dir: Path, read_only: ReadOnly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    read_only(data_dir)
    done = kd("inspect", "--data-dir", str(data_dir), "--recipe", "strong", "--svg")
    assert done.exit_code == 0, done.output
    assert "figures in data-figures: class-balance.png" in done.stdout
    assert f"{data_dir / 'figures'} cannot be written" in done.stderr
    assert len(list((tmp_path / "work" / "data-figures").glob("*.svg"))) == 5
    read_only(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")  # the old one is the folder below the mount
    done = kd("inspect", "--data-dir", str(data_dir), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["figures"] == []
    assert done.stderr.count("cannot be written: no figures there") == 2
