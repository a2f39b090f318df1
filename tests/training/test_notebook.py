"""Progress in the cell of a notebook."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from kaggle_digits.training.callbacks import EpochMetrics
from kaggle_digits.training.notebook import NotebookProgress, default_callback


class Output:
    """What a cell shows; records every version."""

    def __init__(self) -> None:
        self.versions: list[dict[str, str]] = []

    def update(self, data: dict[str, str], **_: Any) -> None:
        """Record a version."""
        self.versions.append(data)


def test_only_a_notebook_gets_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell, expected in ((None, False), (object(), False), (SimpleNamespace(kernel=1), True)):
        fake = SimpleNamespace(get_ipython=lambda shell=shell: shell)
        monkeypatch.setitem(sys.modules, "IPython", fake)
        assert isinstance(default_callback(), NotebookProgress) == expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert not isinstance(default_callback(), NotebookProgress)


def test_one_output_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output()

    def display(data: dict[str, str], **_: Any) -> Output:
        assert not output.versions
        output.update(data)
        return output

    monkeypatch.setattr("IPython.display.display", display)
    progress = NotebookProgress()
    progress.on_message("measuring <here>")
    progress.on_run_begin("dense-1", 2, 1)
    progress.on_member_begin(1, 2, 10, 0)
    progress.on_epoch_end(EpochMetrics(1, 1, 0.5, 0.9, 0.4, 0.91, 0.1, 1.5))
    progress.on_predict_begin(1, 700, 5)
    progress.on_member_end(1, 3.0)
    texts = [version["text/plain"] for version in output.versions]
    assert "member 2/2, epoch 1/2: loss 0.5000, validation 91.00 %, 1.5 s" in texts[3]
    assert texts[4].startswith("run dense-1: predicting 700 images")
    assert texts[-1].startswith("run dense-1: finished")
    assert "value='0.750'" in output.versions[3]["text/html"]
    assert "measuring &lt;here&gt;" in output.versions[-1]["text/html"]
