"""Callbacks: forwarding, the text of an epoch, and progress in the cell of a notebook."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from kaggle_digits.training.callbacks import (
    CallbackList,
    EpochMetrics,
    ForwardingCallback,
    NotebookProgress,
    TrainingCallback,
    default_callback,
    describe_epoch,
)


def test_every_event_is_forwarded_to_all_callbacks_in_order() -> None:
    calls: list[tuple[int, str, tuple[Any, ...]]] = []
    recorders = [
        ForwardingCallback(lambda name, arguments, i=i: calls.append((i, name, arguments)))  # type: ignore[misc]
        for i in (0, 1)
    ]
    both = CallbackList(*recorders)
    row = EpochMetrics(0, 1)
    both.on_run_begin("one", 2, 0)
    both.on_member_begin(0, 3, 10, 0)
    both.on_step(0, 1, 0.5, 0.9)
    both.on_epoch_end(row)
    both.on_predict_begin(0, 700, 5)
    both.on_member_end(0, 1.5)
    both.on_member_error(1, "out of memory", 3)
    both.on_message("retrying")
    both.on_run_end("one")
    both.on_warning("rows are shared")
    events = [
        ("on_run_begin", ("one", 2, 0)),
        ("on_member_begin", (0, 3, 10, 0)),
        ("on_step", (0, 1, 0.5, 0.9)),
        ("on_epoch_end", (row,)),
        ("on_predict_begin", (0, 700, 5)),
        ("on_member_end", (0, 1.5)),
        ("on_member_error", (1, "out of memory", 3)),
        ("on_message", ("retrying",)),
        ("on_run_end", ("one",)),
        ("on_warning", ("rows are shared",)),
    ]
    assert calls == [(i, *event) for event in events for i in (0, 1)]
    names = {name for name in vars(TrainingCallback) if name.startswith("on_")}
    assert {name for name, _ in events} == names, "a new event must be forwarded too"


def test_an_epoch_is_one_line() -> None:
    row = EpochMetrics(1, 3, 0.5, 0.9, 0.4, 0.91, 0.1, 1.5)
    assert describe_epoch(row, 9, 1) == "epoch 3/9: loss 0.5000, validation 91.00 %, 1.5 s"
    unmeasured = EpochMetrics(1, 3, 0.5, 0.9, seconds=1.5)
    assert describe_epoch(unmeasured, 9, 2) == (
        "member 2/2, epoch 3/9: loss 0.5000, accuracy 90.00 %, 1.5 s"
    )


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


def test_a_script_sees_warnings_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    callback = default_callback()
    callback.on_message("measuring")
    with pytest.warns(UserWarning, match="rows are shared") as caught:
        callback.on_warning("rows are shared")
    assert len(caught) == 1
    assert capsys.readouterr() == ("", "")


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
