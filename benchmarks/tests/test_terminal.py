"""The recording of a terminal for README."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from kaggle_digits._version import __version__

pytest.importorskip("pyte", reason="needs the extra: pip install -e '.[dev]'")

from benchmarks import terminal

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "terminal.svg"


def test_screens_follow_each_other(tmp_path: Path) -> None:
    frames = terminal.record(("kd --version",), tmp_path)
    texts = [text.plain for text, _ in frames]
    assert texts[0].startswith("$ kd --version  ")
    assert f"kaggle-digits {__version__}" in texts[-1]
    assert max(map(len, texts[-1].splitlines())) <= 80
    svg = terminal.animate(frames)
    words = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert words.count("$ kd --version") == len(frames)
    assert f"kaggle-digits {__version__}" in words


def test_the_picture_in_readme_asks_no_other_host() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "url(" not in text
    assert text.count("http") == 1  # the name of the format
