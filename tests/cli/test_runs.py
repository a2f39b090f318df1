"""kd runs and kd recipes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.runs.run import Run
from tests.support.commands import QUICK, kd
from tests.support.small_runs import write_run


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


def test_a_broken_run_does_not_hide_the_others_and_a_leak_is_shown(
    dataset: Dataset, tmp_path: Path
) -> None:
    oof = np.full((len(dataset.train), 10), 0.1, np.float32)
    metrics = {"val_accuracy": 0.75, "val_accuracy_ci95": [0.7, 0.8], "n_val": 3}
    write_run(tmp_path, dataset, oof, "good").write_metrics(metrics)
    leak = {"run": "good", "held_out_apart": False}
    write_run(tmp_path, dataset, oof, "pupil", pseudo=leak).write_metrics(metrics)
    for name in ("pipe", "folder", "newer", "text", "old"):
        (tmp_path / name).mkdir()
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe" / "config.json")
    (tmp_path / "folder" / "config.json").mkdir()
    write_json(tmp_path / "newer" / "config.json", {"kd_version": "9.9", "members": "many"})
    (tmp_path / "text" / "config.json").write_text("[[")
    Run(tmp_path / "old").write_config({"members": 1})  # nothing else was recorded
    Run(tmp_path / "old").write_metrics({"val_accuracy": 0.5})
    listed = json.loads(kd("runs", "--json", "--runs-dir", tmp_path).stdout)["runs"]
    rows = {row["run"]: row for row in listed}
    assert list(rows)[:3] == ["good", "old", "pupil"]
    assert rows["pupil"]["val_accuracy"] is None
    assert rows["pupil"]["leaked_accuracy"] == 0.75
    assert "pseudo-labels of run good" in rows["pupil"]["leak"]
    assert rows["good"]["leak"] is None
    assert "kaggle-digits 9.9 wrote it" in rows["newer"]["problem"]
    for name in ("folder", "text", "newer"):
        assert f"{name}/config.json is damaged (" in rows[name]["problem"]
    shown = kd("runs", "--runs-dir", tmp_path)
    assert "leaked 75.00 %" in shown.stdout
    assert "pupil has no out-of-fold accuracy: labels" in shown.stderr


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
