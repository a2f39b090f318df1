"""Callbacks: forwarding, and TensorBoard files with the values of history.csv."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.core.errors import UsageError
from kaggle_digits.training.callbacks import (
    CallbackList,
    EpochMetrics,
    ForwardingCallback,
    TensorBoardCallback,
    TrainingCallback,
    describe_epoch,
)
from tests.support import small_runs


def test_tensorboard_has_every_epoch_of_every_member(tmp_path: Path) -> None:
    small_runs.write_data(tmp_path / "data")
    words = ["train", "--model", "mlp", "--widths", "4", "--epochs", "3", "--folds", "2"]
    places = [f"--{name}-dir={tmp_path / name}" for name in ("data", "runs", "submissions")]
    done = CliRunner().invoke(app, [*words, "--tensorboard", "--name", "one", *places])
    assert done.exit_code == 0, done.output
    run = tmp_path / "runs" / "one"
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    assert len(history) == 6
    for member in ("0", "1"):
        rows = [row for row in history if row["member"] == member]
        events = EventAccumulator(str(run / "events" / member)).Reload()
        assert set(events.Tags()["scalars"]) >= {"loss", "accuracy", "val_loss", "val_accuracy"}
        for tag in events.Tags()["scalars"]:
            found = events.Scalars(tag)
            assert [event.step for event in found] == [1, 2, 3]
            expected = [float(row[tag]) for row in rows]
            assert [event.value for event in found] == pytest.approx(expected)


def test_missing_tensorboard_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(UsageError, match=r"needs tensorboard; install it: pip install"):
        TensorBoardCallback(tmp_path)


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
