"""kd classify."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from kaggle_digits.imaging.labelled_folder import save_drawing
from kaggle_digits.runs.run import Run
from tests.support.commands import assert_error, kd
from tests.support.labelled import write_labelled
from tests.support.pictures import draw_digit, draw_strokes, encode


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with a digit, a blank picture and a file that is not a picture."""
    monkeypatch.chdir(tmp_path)
    draw_digit(1).save(tmp_path / "one.png")
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    (tmp_path / "notes.png").write_text("text")


def test_prints_a_line_for_each_picture_and_the_run(trained_run: Run) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("classify", "one.png", "blank.png", *runs)
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first.startswith("one.png: ")
    assert " confidence), second choice " in first
    assert second == "blank.png: no digit found"
    assert "predicted with run dense" in done.stderr
    assert "dense was trained on the sample's digits of 8 × 8 pixels" in done.stderr


def test_json_lists_unreadable_pictures_too(trained_run: Run) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent), "--run", "dense"]
    words = ["classify", "--json", "one.png", "notes.png", "blank.png", "-", *runs]
    done = kd(*words, stdin=encode(draw_digit(1)))
    assert done.exit_code == 1, "one of them is not a picture"
    one, notes, blank, stdin = json.loads(done.stdout)
    looks = {"not_a_digit", "not_a_digit_score", "mirrored"}
    assert set(one) == {"file", "digit", "confidence", "runner_up", "note"} | looks
    assert (one["file"], one["note"]) == ("one.png", "")
    assert {**stdin, "file": "one.png"} == one
    assert (blank["digit"], blank["note"]) == (None, "no digit found")
    assert notes["digit"] is None
    assert "notes.png is not a readable picture" in notes["note"]
    assert done.stderr.count("error:") == 1


def test_folder_with_labels_is_scored(trained_run: Run, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "drawings", [1, 4, 7])
    save_drawing(folder, encode(draw_digit(7)), 3)
    runs = ["--runs-dir", str(trained_run.path.parent)]
    printed = kd("classify", folder, "--check", *runs)
    assert printed.exit_code == 0, printed.output
    scored = json.loads(kd("classify", folder, "--check", "--json", *runs).stdout)
    assert (scored["run"], scored["n"], scored["extra_rows"]) == ("dense", 4, 0)
    assert scored["accuracy"] == 1 - len(scored["wrong"]) / 4 < 1
    last = scored["wrong"][-1]
    assert (last["file"], last["label"]) == (str(folder / "0004.png"), 3)
    right = 4 - len(scored["wrong"])
    assert f"{right} of 4 pictures read correctly by run dense, " in printed.stdout
    assert re.search(rf"0004.png +{last['digit']} +3 +\d", printed.stdout)
    (folder / "labels.csv").write_text("file,label\n0001.png,one\n", encoding="utf-8")
    assert_error(kd("classify", folder, "--check", *runs), 1, "line 2: the label is 'one'")
    assert_error(kd("classify", "one.png", "--check", *runs), 1, "has no labels.csv")
    assert_error(kd("classify", folder, folder, "--check"), 2, "--check scores one folder")


def test_folder_is_searched_and_an_empty_one_is_an_error(trained_run: Run, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(3):
        draw_digit(7).save(tmp_path / "many" / f"{number}.webp")
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("classify", "many", "--json", *runs)
    assert [entry["file"] for entry in json.loads(done.stdout)] == [
        str(Path("many", f"{number}.webp")) for number in range(3)
    ]
    (tmp_path / "none").mkdir()
    done = kd("classify", "none", *runs)
    assert done.exit_code == 1
    assert "no picture in none" in done.stderr


def test_show_saves_preprocessing_steps(trained_run: Run, tmp_path: Path) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("classify", "one.png", "blank.png", "--show", *runs)
    assert done.exit_code == 0, done.output
    for name in ("one-steps.png", "blank-steps.png"):
        assert (tmp_path / name).is_file()


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """Two lines of two and three digits."""
    picture = Image.new("L", (400, 300), 255)
    for index, (digit, left) in enumerate([(1, 40), (4, 130), (1, 40), (7, 130), (4, 220)]):
        draw_strokes(picture, digit, (left, 30 if index < 2 else 170), 90)
    picture.save(tmp_path / "sheet.png")
    return tmp_path / "sheet.png"


def test_all_reads_every_digit(trained_run: Run, sheet: Path) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("classify", "sheet.png", "blank.png", "notes.png", "--all", "--json", *runs)
    assert done.exit_code == 1, "one of them is not a picture"
    entry, blank, notes = json.loads(done.stdout)
    assert (entry["file"], entry["digit"], entry["note"]) == ("sheet.png", None, "")
    assert [len(line) for line in entry["lines"]] == [2, 3]
    assert [one["line"] for one in entry["digits"]] == [0, 0, 1, 1, 1]
    assert {"digit", "confidence", "box"} <= set(entry["digits"][0])
    left, top, right, bottom = entry["digits"][0]["box"]
    assert 40 <= left < right <= 130
    assert 20 <= top < bottom <= 140
    assert (blank["digits"], blank["lines"], blank["note"]) == ([], [], "no digit found")
    assert notes["digits"] == []
    done = kd("classify", "sheet.png", "--all", *runs)
    first, *lines = done.stdout.splitlines()
    assert first.startswith("sheet.png: 5 digits; least sure of the ")
    assert [line.strip() for line in lines] == entry["lines"]


def test_all_finds_one_digit_in_a_picture_of_one(trained_run: Run) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    (entry,) = json.loads(kd("classify", "one.png", "--all", "--json", *runs).stdout)
    assert len(entry["digits"]) == 1
    assert entry["digit"] == entry["digits"][0]["digit"]


def test_several_digits_are_always_noted(trained_run: Run, sheet: Path) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("classify", "sheet.png", *runs)
    assert "looks like more than one digit: read them with --all" in done.stdout
    (entry,) = json.loads(kd("classify", "sheet.png", "--json", *runs).stdout)
    assert entry["note"] == "looks like more than one digit"


def test_two_digits_that_touch_are_noted(trained_run: Run, tmp_path: Path) -> None:
    picture = Image.new("L", (260, 200), 255)
    for left in (40, 95):
        draw_strokes(picture, 4, (left, 50), 100)
    picture.save(tmp_path / "touching.png")
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("classify", tmp_path / "touching.png", *runs)
    assert "perhaps more than one digit: read them with --all" in done.stdout


def test_show_draws_boxes(trained_run: Run, sheet: Path, tmp_path: Path) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    (tmp_path / "sheet-boxes.png").write_bytes(b"mine")
    done = kd("classify", "sheet.png", "blank.png", "--all", "--show", *runs)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "sheet-boxes.png").read_bytes() == b"mine"
    assert (tmp_path / "sheet-boxes-2.png").is_file()
    assert (tmp_path / "blank-boxes.png").is_file()


def test_svg_needs_show() -> None:
    done = kd("classify", "one.png", "--svg")
    assert done.exit_code == 2
    assert "--svg needs --show" in done.stderr


def test_empty_name_is_not_the_current_folder(trained_run: Run) -> None:
    done = kd("classify", "", "--runs-dir", str(trained_run.path.parent))
    assert done.exit_code == 2
    assert "a picture name is empty" in done.stderr


def test_without_runs_the_next_command_is_named() -> None:
    done = kd("classify", "one.png")
    assert done.exit_code == 1
    assert "no finished run in runs; train one: " in done.stderr


def test_existing_files_are_not_replaced(trained_run: Run, tmp_path: Path) -> None:
    runs = ["--runs-dir", str(trained_run.path.parent)]
    (tmp_path / "one-steps.png").write_bytes(b"mine")
    draw_digit(7).save(tmp_path / "one.webp")
    done = kd("classify", "one.png", "one.webp", "--show", *runs)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "one-steps.png").read_bytes() == b"mine"
    assert {"one-steps-2.png", "one-steps-3.png"} <= {path.name for path in tmp_path.iterdir()}
    (tmp_path / "notes.png").unlink()
    done = kd("classify", ".", "--json", *runs)
    assert [entry["file"] for entry in json.loads(done.stdout)] == [
        "blank.png",
        "one.png",
        "one.webp",
    ], "figures of --show are skipped"


def test_damaged_model_error_names_the_fix(trained_run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / "dense"
    shutil.copytree(trained_run.path, copy)
    lite = copy / "members" / "0" / "model.tflite"
    lite.write_bytes(b"damaged")
    words = ["classify", "one.png", "--runs-dir", str(copy.parent)]
    done = kd(*words)
    assert done.exit_code == 1
    assert "delete it to use the Keras model beside it" in done.stderr
    lite.unlink()
    assert kd(*words).exit_code == 0
