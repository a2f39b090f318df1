"""kd runs and kd recipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import QUICK, kd


@pytest.mark.usefixtures("work")
def test_json_of_train_runs_and_recipes() -> None:
    first = json.loads(kd("train", *QUICK, "--json", "--name", "one").stdout)
    assert first["run"] == "one"
    assert first["n_val"] == 108
    listed = json.loads(kd("runs", "--json").stdout)["runs"]
    assert [row["run"] for row in listed] == ["one"]
    whole = json.loads(kd("runs", "one", "--json").stdout)
    assert whole["metrics"]["val_accuracy"] == first["val_accuracy"]
    assert "mlp" in json.loads(kd("recipes", "--json").stdout)


@pytest.mark.usefixtures("work")
def test_runs_are_sorted_by_accuracy_and_unfinished_ones_are_last() -> None:
    assert "no runs in runs yet" in kd("runs").stderr
    kd("train", *QUICK, "--name", "short")
    kd("train", "--model", "mlp", "--epochs", "8", "--name", "long")
    kd("train", *QUICK, "--name", "cut")
    Path("runs/cut/metrics.json").unlink()
    Path("runs/damaged").mkdir()
    Path("runs/damaged/config.json").write_text("{")
    text = kd("runs").stdout
    places = [text.index(name) for name in ("long", "short", "cut", "damaged")]
    assert places[:2] == sorted(places[:2])
    assert max(places[:2]) < min(places[2:])
    assert "unfinished" in text
    assert "split.val_fraction" in kd("runs", "long").stdout
    Path("submissions/log.csv").write_text("nonsense\n")
    result = kd("runs", "--json")
    assert (result.exit_code, len(json.loads(result.stdout)["runs"])) == (0, 4)
    assert "no public scores: submissions/log.csv, line 1: no column time" in result.stderr
