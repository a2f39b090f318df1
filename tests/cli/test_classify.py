"""kd classify and kd export, as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.runs.run import Run
from tests.support.pictures import draw_digit, encode

kd = CliRunner()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with three pictures."""
    monkeypatch.chdir(tmp_path)
    draw_digit(1).save(tmp_path / "one.png")
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    (tmp_path / "notes.png").write_text("no picture")


def test_a_line_a_picture_and_the_run_it_was_read_with(reading_run: Run) -> None:
    runs = ["--runs-dir", str(reading_run.path.parent)]
    done = kd.invoke(app, ["classify", "one.png", "blank.png", *runs])
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first.startswith("one.png: ")
    assert " confidence), second choice " in first
    assert second == "blank.png: no digit found"
    assert "predicted with run dense" in done.stderr


def test_json_is_one_list_with_what_could_not_be_read_in_it(reading_run: Run) -> None:
    runs = ["--runs-dir", str(reading_run.path.parent), "--run", "dense"]
    words = ["classify", "--json", "one.png", "notes.png", "blank.png", "-", *runs]
    done = kd.invoke(app, words, input=encode(draw_digit(1)))
    assert done.exit_code == 1, "one of them is no picture"
    one, notes, blank, stdin = json.loads(done.stdout)
    assert set(one) == {"file", "digit", "confidence", "runner_up", "note"}
    assert (one["file"], one["note"]) == ("one.png", "")
    assert {**stdin, "file": "one.png"} == one
    assert (blank["digit"], blank["note"]) == (None, "no digit found")
    assert notes["digit"] is None
    assert "notes.png is not a readable picture" in notes["note"]
    assert done.stderr.count("error:") == 1


def test_a_folder_is_read_whole_and_an_empty_one_is_said(reading_run: Run, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(3):
        draw_digit(7).save(tmp_path / "many" / f"{number}.webp")
    runs = ["--runs-dir", str(reading_run.path.parent)]
    done = kd.invoke(app, ["classify", "many", "--json", *runs])
    assert [entry["file"] for entry in json.loads(done.stdout)] == [
        str(Path("many", f"{number}.webp")) for number in range(3)
    ]
    (tmp_path / "none").mkdir()
    done = kd.invoke(app, ["classify", "none", *runs])
    assert done.exit_code == 1
    assert "no picture in none" in done.stderr


def test_each_step_can_be_looked_at(reading_run: Run, tmp_path: Path) -> None:
    runs = ["--runs-dir", str(reading_run.path.parent)]
    done = kd.invoke(app, ["classify", "one.png", "blank.png", "--show", *runs])
    assert done.exit_code == 0, done.output
    for name in ("one-steps.png", "blank-steps.png"):
        assert (tmp_path / name).is_file()


def test_a_vector_copy_of_no_picture_is_refused() -> None:
    done = kd.invoke(app, ["classify", "one.png", "--svg"])
    assert done.exit_code == 2
    assert "--svg needs --show" in done.stderr


def test_an_empty_name_is_not_the_whole_folder(reading_run: Run) -> None:
    done = kd.invoke(app, ["classify", "", "--runs-dir", str(reading_run.path.parent)])
    assert done.exit_code == 2
    assert "a picture name is empty" in done.stderr


def test_without_a_run_the_next_command_is_said() -> None:
    done = kd.invoke(app, ["classify", "one.png"])
    assert done.exit_code == 1
    assert "no finished run in runs to read with; make one: kd fetch" in done.stderr


def test_export_says_how_near_it_is_to_keras(reading_run: Run, tmp_path: Path) -> None:
    runs = ["--runs-dir", str(reading_run.path.parent)]
    done = kd.invoke(app, ["export", "dense", "--format", "litert", *runs])
    assert done.exit_code == 0, done.output
    assert "of Keras on 1,000 images" in done.stdout
    assert (tmp_path / "exports" / "dense-litert" / "README.md").is_file()
    done = kd.invoke(app, ["export", "dense", "--json", "-o", "elsewhere", *runs])
    found = json.loads(done.stdout)
    assert (found["format"], found["path"]) == ("litert", str(Path("elsewhere", "model.tflite")))
    assert found["difference"] < 1e-4
    done = kd.invoke(app, ["export", "dense", "--format", "tfjs", *runs])
    assert done.exit_code == 2


def test_nothing_of_the_users_is_replaced(reading_run: Run, tmp_path: Path) -> None:
    runs = ["--runs-dir", str(reading_run.path.parent)]
    (tmp_path / "one-steps.png").write_bytes(b"mine")
    draw_digit(7).save(tmp_path / "one.webp")
    done = kd.invoke(app, ["classify", "one.png", "one.webp", "--show", *runs])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "one-steps.png").read_bytes() == b"mine"
    assert {"one-steps-2.png", "one-steps-3.png"} <= {path.name for path in tmp_path.iterdir()}
    (tmp_path / "notes.png").unlink()
    done = kd.invoke(app, ["classify", ".", "--json", *runs])
    assert [entry["file"] for entry in json.loads(done.stdout)] == [
        "blank.png",
        "one.png",
        "one.webp",
    ], "what --show left is not read"


def test_a_damaged_model_says_how_it_is_mended(reading_run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / "dense"
    shutil.copytree(reading_run.path, copy)
    lite = copy / "members" / "0" / "model.tflite"
    lite.write_bytes(b"damaged")
    words = ["classify", "one.png", "--runs-dir", str(copy.parent)]
    done = kd.invoke(app, words)
    assert done.exit_code == 1
    assert "delete it to use the Keras model beside it" in done.stderr
    lite.unlink()
    assert kd.invoke(app, words).exit_code == 0
