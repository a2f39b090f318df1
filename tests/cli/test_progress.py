"""Progress of long commands on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from kaggle_digits.cli import console
from kaggle_digits.cli.progress import (
    DownloadProgress,
    StudyProgress,
    TrainingProgress,
    track_folders,
)
from kaggle_digits.training.callbacks import EpochMetrics

COSTS = {"models": 30, "denoise": 10}


def _output(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, costs: dict[str, int]) -> str:
    out = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=out, force_terminal=terminal, width=100))
    with StudyProgress(costs) as progress:
        progress.report("A1, linear: epoch 1 of 2", 1, 2)
        progress.report("A1, linear: epoch 2 of 2", 2, 2)
        progress.report("reading")
        progress.end_study("models", 12.3)
    return out.getvalue()


def test_terminal_shows_all_studies_and_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    output = _output(monkeypatch, terminal=True, costs=COSTS)
    assert "all studies" in output
    assert "reading" in output


def test_a_single_study_has_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "all studies" not in _output(monkeypatch, terminal=True, costs={"models": 30})


def test_without_terminal_each_study_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _output(monkeypatch, terminal=False, costs=COSTS) == "study models: 12 s\n"


def test_tracking_yields_the_same_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [Path("0"), Path("1")]
    for terminal in (True, False):
        out = io.StringIO()
        monkeypatch.setattr(console, "err", Console(file=out, force_terminal=terminal, width=60))
        assert list(track_folders(folders)) == folders
        assert ("predicting" in out.getvalue()) == terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_download_is_a_bar_on_a_terminal_and_one_line_elsewhere(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=out, force_terminal=terminal, width=100))
    with DownloadProgress() as progress:
        assert not out.getvalue()  # nothing is drawn over a question that a command asks first
        for done in (0, 1_500_000):
            progress.update("train.csv", done, 1_500_000)
    if terminal:
        assert "1.5/1.5 MB" in out.getvalue()
    else:
        assert out.getvalue() == "downloading train.csv (1.5 MB)\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_epochs_stay_on_the_screen_and_predicting_is_shown(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        console, "err", Console(file=out, force_terminal=terminal, width=80, highlight=False)
    )
    with TrainingProgress() as progress:
        progress.on_run_begin("dense-1", 1, 0)
        progress.on_member_begin(0, 2, 10, 0)
        progress.on_epoch_end(EpochMetrics(0, 1, 0.5, 0.9, 0.4, 0.91, 0.1, 1.5))
        progress.on_predict_begin(0, 700, 9)
        progress.refresh()
    assert "epoch 1/2: loss 0.5000, validation 91.00 %, 1.5 s" in out.getvalue()
    assert "predicting 700 images, 9 views of each" in out.getvalue()
    if not terminal:
        assert "\x1b" not in out.getvalue()


def test_one_model_is_no_member(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=out, width=80, highlight=False))
    progress = TrainingProgress()
    progress.on_run_begin("dense-1", 1, 0)
    progress.on_run_begin("cnn-1", 5, 2)
    expected = "run dense-1: 1 model\nrun cnn-1: 5 members, 2 finished before\n"
    assert out.getvalue() == expected


def test_display_is_removed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=out, force_terminal=True, width=80))
    with TrainingProgress() as progress:
        progress.on_member_begin(0, 2, 10, 0)
    two_lines_up = "\x1b[1A\x1b[2K" * 2
    assert out.getvalue().endswith(two_lines_up)


def test_ctrl_c_fits_behind_the_display(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        console, "err", Console(file=out, force_terminal=True, width=80, color_system=None)
    )
    with TrainingProgress() as progress:
        progress.on_member_begin(0, 2, 10, 0)
        progress.on_epoch_end(EpochMetrics(0, 1, 0.5, 1.0, 0.4, 1.0, 0.1, 1.5))
        progress.on_step(0, 9, 0.1234, 1.0)
        progress.refresh()
    lines = re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", out.getvalue()).splitlines()
    (metrics,) = {line.rsplit("\r", 1)[-1] for line in lines if "loss 0.1234" in line}
    assert metrics.startswith("loss 0.1234, accuracy 100.00 %, validation 100.00 %")
    assert max(map(len, lines)) + len("^C") <= 80
