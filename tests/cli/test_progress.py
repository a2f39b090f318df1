"""What a long command shows on a terminal while it runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from kaggle_digits.cli import console
from kaggle_digits.cli.progress import StudyProgress, track_folders

COSTS = {"models": 30, "denoise": 10}


def _shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, costs: dict[str, int]) -> str:
    out = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=out, force_terminal=terminal, width=100))
    with StudyProgress(costs) as progress:
        progress.report("A1, linear: epoch 1 of 2", 1, 2)
        progress.report("A1, linear: epoch 2 of 2", 2, 2)
        progress.report("reading")
        progress.finished("models", 12.3)
    return out.getvalue()


def test_a_terminal_sees_all_studies_and_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _shown(monkeypatch, terminal=True, costs=COSTS)
    assert "all studies" in shown
    assert "reading" in shown


def test_one_study_has_no_line_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "all studies" not in _shown(monkeypatch, terminal=True, costs={"models": 30})


def test_a_file_gets_a_line_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _shown(monkeypatch, terminal=False, costs=COSTS) == "study models: 12 s\n"


def test_what_is_counted_comes_through_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [Path("0"), Path("1")]
    for terminal in (True, False):
        out = io.StringIO()
        monkeypatch.setattr(console, "err", Console(file=out, force_terminal=terminal, width=60))
        assert list(track_folders("predicting")(folders)) == folders
        assert ("predicting" in out.getvalue()) == terminal
