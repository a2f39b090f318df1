"""kd runs and kd recipes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.kaggle_api.submission_log import COLUMNS
from kaggle_digits.runs.run import Run
from kaggle_digits.training.recipes import find_recipe
from tests.support.commands import QUICK, assert_error, kd
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
    for name in ("pipe", "folder", "newer", "text", "old", "my run"):
        (tmp_path / name).mkdir()
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe" / "config.json")
    (tmp_path / "folder" / "config.json").mkdir()
    write_json(tmp_path / "newer" / "config.json", {"kd_version": "9.9", "members": "many"})
    for name in ("text", "my run"):
        (tmp_path / name / "config.json").write_text("[[")
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
    assert "no command takes the name 'my run'; rename its folder in" in shown.stderr


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


@pytest.fixture
def three(work: Path, dataset: Dataset) -> Path:
    """Runs of two models with other accuracies, dates and settings."""
    settings = {"best": ("cnn", 12, 0.9), "deep": ("cnn", 10, 0.8), "base": ("dense", 5, 0.7)}
    oof = np.full((len(dataset.train), 10), 0.1, np.float32)
    for day, (name, (model, epochs, accuracy)) in enumerate(settings.items(), 1):
        recipe = find_recipe(model).with_changes(epochs=epochs).to_json()
        created = f"2026-01-0{day}T03:04:05+00:00"
        run = write_run(
            work / "runs", dataset, oof, name, model=model, recipe=recipe, created=created
        )
        run.write_metrics({"val_accuracy": accuracy, "n_val": len(oof), "train_seconds": 10 * day})
    return work / "runs"


def listed(*words: str) -> list[str]:
    return [row["run"] for row in json.loads(kd("runs", "--json", *words).stdout)["runs"]]


@pytest.mark.usefixtures("three")
def test_runs_are_sorted_and_filtered() -> None:
    assert listed() == ["best", "deep", "base"]
    assert listed("--sort", "date") == ["base", "deep", "best"]
    assert listed("--sort", "name") == ["base", "best", "deep"]
    assert listed("--sort", "time") == ["best", "deep", "base"]
    assert listed("--filter", "model=cnn") == ["best", "deep"]
    assert listed("--filter", "epochs=5") == ["base"]
    assert listed("--filter", "seed=7") == ["best", "deep", "base"]
    assert listed("--filter", "model=cnn", "--filter", "DE") == ["deep"]
    assert listed("--filter", "optimizer=sgd") == []
    assert "none of the 3 runs" in kd("runs", "--filter", "no").stderr
    both = kd("runs", "--filter", "no", "--filter", "x=1")
    assert "matches --filter no and x=1" in both.stderr


def test_a_public_score_is_that_of_the_predictions_not_of_an_earlier_run_of_that_name(
    three: Path,
) -> None:
    entries = {
        "best": ("2025-12-31", "a" * 64, 0.5),  # before the run was made: --force replaced it
        "deep": ("2026-01-03", "b" * 64, 0.6),  # other predictions of the run, as with --tta
        "other": ("2026-01-04", "c" * 64, 0.7),  # of the same predictions, as a run renamed since
    }
    rows = [
        f"{day}T00:00:00+00:00,{run}.csv,{sha256},{run},,,{ref},complete,{score},{run}"
        for ref, (run, (day, sha256, score)) in enumerate(entries.items(), 1)
    ]
    Path("submissions").mkdir(exist_ok=True)
    Path("submissions/log.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    base = Run(three / "base")
    base.write_metrics({**base.metrics(), "submission_sha256": "c" * 64})
    runs = json.loads(kd("runs", "--json").stdout)["runs"]
    assert {row["run"]: row["public_score"] for row in runs} == {
        **{"best": None, "deep": 0.6, "base": 0.7}
    }


def test_the_list_shows_what_else_a_run_was_trained_on(work: Path, dataset: Dataset) -> None:
    oof = np.full((len(dataset.train), 10), 0.1, np.float32)
    more = {
        "recipe": find_recipe("strong-3x3").with_changes(epochs=3).to_json(),
        "model": "strong-3x3",
        "pseudo": {"run": "cnn-1", "held_out_apart": True},
        "dropped_rows": {"file": "wrong.csv", "sha256": "", "lines": [5]},
    }
    for name, settings in (("all", {}), ("other", more)):
        run = write_run(work / "runs", dataset, oof, name, **settings)
        run.write_metrics({"val_accuracy": 0.5, "n_val": len(oof)})
    shown = " ".join(kd("runs").stdout.split())
    assert "epochs 3, pseudo cnn-1, drop_rows wrong.csv" in shown
    for text in ("epochs=3", "pseudo=cnn-1", "drop-rows=wrong.csv", "model=strong-3x3"):
        assert listed("--filter", text) == ["other"], text


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("width", [80, 100])
def test_the_list_shows_names_dates_and_changed_settings_at_80_columns(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = kd("runs").stdout
    assert max(map(len, shown.splitlines())) <= width
    assert re.search(r"^best  90.00 % +1,078  2026-01-01  epochs 12", shown, re.MULTILINE)
    assert re.search(r"^deep  80.00 % +1,078  2026-01-02  – ", shown, re.MULTILINE)


def test_rm_asks_and_rename_and_note_are_shown(three: Path) -> None:
    assert_error(kd("runs", "rm", "best"), 2, "kd runs rm best --yes")
    assert (three / "best").exists()
    assert kd("runs", "rm", "best", "deep", "--yes").exit_code == 0
    assert kd("runs", "rename", "base", "other").stdout.startswith("runs/base is now runs/other")
    assert kd("runs", "note", "other", "[b]:smile:").exit_code == 0
    assert "[b]:smile:" in kd("runs").stdout
    assert [path.name for path in three.iterdir()] == ["other"]
    assert_error(kd("runs", "rm", "othr", "-y"), 1, "did you mean other?")


@pytest.mark.parametrize("width", [80, 100])
def test_recipes_show_optimizer_and_learning_rate_at_80_columns(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = kd("recipes").stdout
    assert max(map(len, shown.splitlines())) <= width
    assert re.search(r"^strong +99.74 % .* muon +0.005 +24", shown, re.MULTILINE)


@pytest.mark.usefixtures("work")
def test_a_recipe_is_written_to_edit() -> None:
    for name in ("cnn", "best"):
        assert kd("recipes", name, "-o", "mine.json", "--force").exit_code == 0
        assert find_recipe("mine.json") == find_recipe(name)
    assert_error(kd("recipes", "cnn", "-o", "mine.json"), 2, "mine.json already exists")
    assert find_recipe("mine-old-1.json") == find_recipe("cnn")
    assert json.loads(kd("recipes", "cnn", "--json").stdout)["model"] == "cnn"
    assert "128-128" in kd("recipes", "dense").stdout
    assert "optimizer" not in kd("recipes", "linear").stdout
    assert "learning_rate" in kd("recipes", "cnn").stdout
    assert_error(kd("recipes", "-o", "x.json"), 2, "which recipe?")
