"""Events for TensorBoard say what history.csv says."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.core.errors import UsageError
from kaggle_digits.training.callbacks import TensorBoardCallback
from tests.support import small_runs


def test_every_epoch_of_every_member_is_there(tmp_path: Path) -> None:
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
        for figure in events.Tags()["scalars"]:
            found = events.Scalars(figure)
            assert [event.step for event in found] == [1, 2, 3]
            expected = [float(row[figure]) for row in rows]
            assert [event.value for event in found] == pytest.approx(expected)


def test_without_tensorboard_one_line_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(UsageError, match="pip install tensorboard"):
        TensorBoardCallback(tmp_path)
