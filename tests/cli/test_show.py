"""kd show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from kaggle_digits.cli import console
from kaggle_digits.plots import style
from kaggle_digits.runs.run import Run
from tests.support.commands import assert_error, kd


@pytest.fixture
def folders(trained_run: Run, sample: Path) -> list[str]:
    """Options for the sample and the run ``dense``."""
    return ["--data-dir", str(sample), "--runs-dir", str(trained_run.path.parent)]


def test_draws_an_image_and_its_probabilities(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = kd("show", 2, "--run", "dense", *folders)
    assert done.exit_code == 0, done.output
    heading, *drawing = done.stdout.rstrip("\n").splitlines()
    assert re.fullmatch(r"line 2 of train.csv, label \d, predicted \d.*", heading)
    assert len(drawing) == 14
    assert max(map(len, drawing)) <= 80
    assert any("█" in line[:28] for line in drawing)
    assert [line[31] for line in drawing[2:12]] == list("0123456789")
    shares = [float(share) for share in re.findall(r"([\d.]+) %", done.stdout)]
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert "\x1b" not in done.stdout
    monkeypatch.setattr(console.out, "width", 60)
    narrow = kd("show", 2, "--run", "dense", *folders).stdout.splitlines()
    assert 50 < max(map(len, narrow[1:])) <= 60


def test_without_a_run_only_the_image_is_drawn(folders: list[str]) -> None:
    done = kd("show", 2, 3, "--test", *folders)
    assert "line 2 of test.csv, ImageId 1" in done.stdout
    assert "line 3 of test.csv, ImageId 2" in done.stdout
    assert "%" not in done.stdout


def test_colours_draw_ink_on_white_paper(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    colored = console._Console(
        highlight=False, soft_wrap=True, force_terminal=True, color_system="truecolor"
    )
    monkeypatch.setattr(console, "out", colored)
    done = kd("show", 2, *folders)
    assert "\x1b[38;2;255;255;255;48;2;255;255;255m▀" in done.stdout
    levels = {int(level) for level in re.findall(r"\x1b\[38;2;(\d+);\1;\1;", done.stdout)}
    assert min(levels) < 40


def test_a_terminal_without_unicode_gets_ascii(folders: list[str]) -> None:
    command = [sys.executable, "-m", "kaggle_digits", "show", "2", "--run", "dense", *folders]
    env = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "#" in done.stdout
    assert "?" not in done.stdout


def test_writes_a_figure_and_replaces_none(folders: list[str], tmp_path: Path) -> None:
    path = tmp_path / "digits.png"
    for runs in ([], ["--run", "dense"]):
        done = kd("show", 2, 3, 4, 5, "-o", path, "--force", *runs, *folders)
        assert done.exit_code == 0, done.output
        assert f"figure: {path}" in done.stdout
        with Image.open(path) as image:
            assert image.width > 6.7 * style.DPI
    assert (tmp_path / "digits-old-1.png").is_file()
    assert_error(kd("show", 2, "-o", path, *folders), 2, "already exists")


def test_json_is_the_only_output(folders: list[str]) -> None:
    done = kd("show", 2, "--run", "dense", "--json", *folders)
    (found,) = json.loads(done.stdout)
    assert (found["file"], found["line"]) == ("train.csv", 2)
    assert len(found["probabilities"]) == 10
    assert found["probabilities"][found["predicted"]] == max(found["probabilities"])
    assert done.stderr == ""


def test_unknown_lines_and_runs_are_explained(folders: list[str]) -> None:
    assert_error(kd("show", 1, *folders), 2, "no image on line 1", "lines 2 to 1079")
    assert_error(kd("show", 2, "--run", "none", *folders), 1, "no run called none")
    message = "2-5 7: give each line by its number: kd show"
    assert_error(kd("show", "2-5", 7, *folders), 2, message)
