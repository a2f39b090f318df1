"""Callbacks: forwarding, and the text of an epoch."""

from __future__ import annotations

from typing import Any

from kaggle_digits.training.callbacks import (
    CallbackList,
    EpochMetrics,
    ForwardingCallback,
    TrainingCallback,
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
