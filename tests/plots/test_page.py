"""Pages show titles and notes of figures as text, not in the picture."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.plots import charts, page, style


def picture_and_note(path: Path) -> tuple[Image.Image, str]:
    """Return the picture and the note that a page shows."""
    uri, note = page.read_figure(path)
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))), note


def test_the_picture_on_a_page_has_neither_title_nor_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "DPI", 150)  # as outside the tests
    counts = np.arange(1, 11)
    style.save(charts.class_balance(counts), tmp_path / "figure.png")
    picture, note = picture_and_note(tmp_path / "figure.png")
    assert note == "55 labelled images; the dashed line is an equal share of 6."
    with Image.open(tmp_path / "figure.png") as whole:
        assert whole.info["Title"] == "Images of each digit"
        assert picture.width == whole.width
        cut = whole.height - picture.height
        assert 60 < cut < 200
        rows = np.flatnonzero((np.asarray(whole.convert("L")) < 200).any(axis=1))
    kept = np.flatnonzero((np.asarray(picture.convert("L")) < 200).any(axis=1))
    assert len(kept) < len(rows)
    assert kept[0] > 2, "the title is cut off with its descenders"
    assert picture.height - kept[-1] > 2


def test_a_figure_of_another_program_is_shown_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "white").save(tmp_path / "other.png")
    picture, note = picture_and_note(tmp_path / "other.png")
    assert picture.size == (30, 20)
    assert note == ""


@pytest.mark.parametrize("name", ["a.svg", "a.pdf"])
def test_other_formats_need_no_text(name: str, tmp_path: Path) -> None:
    style.save(charts.class_balance(np.arange(1, 11)), tmp_path / name)
    assert (tmp_path / name).stat().st_size > 1000


def test_durations_are_rounded_as_in_the_terminal() -> None:
    assert page.describe_duration(9.94) == "9.9 seconds"
    assert page.describe_duration(25.8) == "26 seconds"
