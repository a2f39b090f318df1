"""kd classify --why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.cli import console
from kaggle_digits.cli.why import Why
from kaggle_digits.evaluation.saliency import DecisivePart
from kaggle_digits.runs.run import Run
from tests.support.commands import assert_error, kd
from tests.support.pictures import draw_digit


def test_the_command_explains_a_digit(trained_run: Run, tmp_path: Path) -> None:
    draw_digit(4).save(tmp_path / "four.png")
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    words = [tmp_path / "four.png", tmp_path / "blank.png", "--why"]
    runs = ["--runs-dir", str(trained_run.path.parent)]
    four, blank = json.loads(kd("classify", *words, "--json", *runs).stdout)
    assert blank["why"] is None
    assert np.shape(four["why"]["drop"]) == (28, 28)
    assert four["why"]["lowest"] <= four["confidence"] + 1e-6
    heading, *drawing = kd("classify", *words, *runs).stdout.rstrip("\n").splitlines()
    assert heading.startswith(f"{words[0]}: {four['digit']} ")
    assert drawing[-1].endswith("blank.png: no digit found")
    assert f"Why {four['digit']}? Covering 4 × 4 pixels lowers its" in drawing[1]
    assert len(drawing) == 16
    assert max(map(len, drawing[:15])) <= 80
    assert_error(kd("classify", words[0], "--why", "--all", *runs), 2, "leave out --all")
    assert_error(kd("classify", words[0], "--why", "--check", *runs), 2, "--show and --why")


@pytest.fixture
def why() -> Why:
    """A vertical stroke whose upper half decides, and a spot that speaks against it."""
    image, drop = np.zeros((28, 28), np.uint8), np.zeros((28, 28), np.float32)
    image[4:24, 12:16] = image[10, 20] = 255
    drop[4:14, 12:16], drop[10, 20] = 0.5, -0.25
    part = DecisivePart((12, 4, 16, 8), "top", 7, 0.75)
    return Why(1, 0.9, image, drop, 0.4, part)


def test_drawing_without_colours(why: Why, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = why.draw().plain.splitlines()
    assert lines[2][:28] == f"{'█' * 4:>16}{'':12}"
    assert lines[11][:28].rstrip() == f"{'░' * 4:>16}"
    text = " ".join(line[31:].strip() for line in lines)
    assert "lowers its probability from 90.00 % to as little as 40.00 %." in text
    assert "Removing 4 × 4 pixels at the top makes it a 7 (75.00 %)." in text
    monkeypatch.setattr(console.out, "width", 60)
    assert 50 < max(map(len, why.draw().plain.splitlines())) <= 60
    whole = Why(why.digit, why.confidence, why.image, why.drop, why.lowest, None).draw().plain
    assert "No square of up to" in whole


def test_drawing_with_colours(why: Why, monkeypatch: pytest.MonkeyPatch) -> None:
    colored = console._Console(force_terminal=True, color_system="truecolor", width=80)
    monkeypatch.setattr(console, "out", colored)
    drawing = why.draw()
    assert "Orange speaks for the 1, blue against it." in drawing.plain
    with colored.capture() as capture:
        colored.print(drawing)
    assert "\x1b[38;2;235;95;0;48;2;235;95;0m▀" in capture.get()
    assert "on yellow" in drawing.plain
