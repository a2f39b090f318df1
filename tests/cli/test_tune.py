"""Tests of ``kd tune`` and of ``kd train --recipe FILE`` with its result."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from kaggle_digits.cli import console
from kaggle_digits.cli.main import app
from kaggle_digits.plots import style
from kaggle_digits.runs.store import open_run
from kaggle_digits.training.recipes import find_recipe

QUICK = ["--model", "mlp", "--rows", "150", "--epochs", "2", "--folds", "2", "--vary", "widths=4,8"]
RATE = [*QUICK, "--vary", "learning_rate=0.001:0.1:log"]


@pytest.fixture
def work(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working folder; KD_DATA_DIR is the sample."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KD_DATA_DIR", str(sample))
    return tmp_path


def kd(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def assert_refused(result: Result, code: int, *words: str) -> None:
    """Check the exit code, that one line on stderr has all ``words``, and that stdout is empty."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    for word in words:
        assert word in error


@pytest.mark.usefixtures("work")
def test_search_prints_a_table_and_writes_plots_and_a_recipe() -> None:
    words = [*QUICK[:-2], "--vary", "learning_rate", "--vary", "widths=4,500"]
    result = kd("tune", *words, "--trials", "6")
    assert result.exit_code == 0, result.output
    assert re.search(r"^1 \(original\) +finished ", result.stdout, re.MULTILINE)
    losses = [float(x) for x in re.findall(r" finished +(\d\.\d{4})", result.stdout)]
    assert len(losses) >= 4
    assert losses == sorted(losses)
    assert re.search(r" finished +\d\.\d{4} +\d+\.\d\d % ", result.stdout)  # before the settings
    assert re.search(r"accuracy .+ \(95 % interval\) on 150 out-of-fold rows", result.stdout)
    assert "importance: " in result.stdout
    assert "best of 6 trials on the same rows" in result.stderr
    assert result.stderr.count("\ntrial ") == 6
    with Image.open("runs/tuning/mlp/importance.png") as picture:
        assert picture.width > 4 * style.DPI
    (following,) = re.findall(r"next: kd (.+)", result.stderr)
    trained = kd(*following.split(), "--widths", "5", "--name", "tuned")
    assert trained.exit_code == 0, trained.output
    recipe = find_recipe("runs/tuning/mlp/best.json")
    config = open_run("runs", "tuned").config()
    assert config["seed"] == 1
    expected = recipe.with_changes(widths=(5,)).to_json()
    assert config["recipe"] == json.loads(json.dumps(expected))
    assert [row["run"] for row in json.loads(kd("runs", "--json").stdout)["runs"]] == ["tuned"]


@pytest.mark.usefixtures("work")
def test_same_command_continues_and_json_is_one_object() -> None:
    words = [*RATE, "--json", "--svg", "-o", "mine.json", "--name", "mine"]
    first = json.loads(kd("tune", *words, "--trials", "3").stdout)
    result = kd("tune", *words, "--trials", "5")
    assert "study mine: 5 trials, 3 done" in result.stderr
    second = json.loads(result.stdout)
    assert (first["done"], second["done"], len(second["trials"])) == (3, 5, 5)
    kept = {trial["trial"]: trial for trial in second["trials"]}
    assert all(kept[trial["trial"]] == trial for trial in first["trials"])
    finished = [trial for trial in second["trials"] if trial["state"] == "finished"]
    assert second["best"] == min(finished, key=lambda trial: trial["calibrated_log_loss"])
    assert second["trials"][0] == second["best"]
    low, high = second["best"]["accuracy_ci95"]
    assert low < second["best"]["accuracy"] < high
    assert second["best"]["n"] == 150
    assert second["recipe_file"] == "mine.json"
    assert find_recipe("mine.json").to_json()["epochs"] == 2
    assert Path(second["picture"]).with_suffix(".svg").is_file()
    assert not list(Path().glob("mine-old*"))


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "which recipe? kd tune NAME"),
        (["--recipe", "secret"], 2, "no recipe called 'secret'"),
        (["--recipe", "absent.json"], 2, "there is no recipe file absent.json"),
        (["--recipe", "best"], 2, "recipe best is an ensemble; tune one of its models: --model"),
        (["--model", "mlp", "--vary", "dropout"], 2, "one of: learning_rate, batch_size, widths"),
        (["--model", "mlp", "--vary", "l2=1:0"], 2, "--vary l2=1:0: 1 is not below 0"),
        ([*QUICK, "--trials", "0"], 2, "--trials 0 is too few"),
        ([*QUICK, "--epochs", "0"], 2, "--epochs 0 is too small"),
        ([*QUICK, "--folds", "1"], 2, "--folds 1 is too small"),
        ([*QUICK, "--rows", "99999"], 2, "more than the 1078 labelled rows"),
        ([*QUICK, "--name", "../up"], 2, "cannot name a run"),
        ([*QUICK, "-o", "."], 2, "error: . is a folder; name a file"),
        ([*QUICK, "--storage", "redis://localhost"], 2, "--storage: the database cannot be used"),
        ([*QUICK, "--minutes", "0", "--trials", "1"], 1, "no trial of study mlp has finished yet"),
    ],
)
def test_invalid_options_are_refused_in_one_line(words: list[str], code: int, message: str) -> None:
    assert_refused(kd("tune", *words), code, message)


@pytest.mark.usefixtures("work")
def test_study_with_another_search_space_is_refused() -> None:
    assert kd("tune", *QUICK, "--trials", "1").exit_code == 0
    assert_refused(
        kd("tune", *RATE, "--trials", "2"), 1, "study mlp already exists with another --vary"
    )
    rows = kd("tune", *QUICK, "--trials", "2", "--rows", "200")
    assert_refused(rows, 1, "study mlp already exists with another split (")
    assert "--rows 150" in rows.stderr
    assert kd("tune", *RATE, "--trials", "1", "--name", "rates").exit_code == 0


@pytest.mark.usefixtures("work")
def test_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://me:s3cret@127.0.0.1:1/digits"
    for words in (["--storage", url], ["--debug", "--storage", url]):
        monkeypatch.setenv("KD_DEBUG", "")  # monkeypatch restores it after the test
        result = kd("tune", *QUICK, *words)
        assert result.exit_code != 0
        assert "s3cret" not in result.output + repr(result.exception)
    monkeypatch.setenv("KD_DEBUG", "")
    monkeypatch.setenv("KD_TUNE_STORAGE", url)
    assert_refused(kd("tune", *QUICK), 2, "--storage")
    assert "s3cret" not in kd("tune", *QUICK).output + kd("tune", "--help").output


@pytest.mark.usefixtures("work")
def test_ctrl_c_keeps_finished_trials() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kaggle_digits", "tune", *RATE, "--trials", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(5)]
    assert any(line.startswith("study mlp: 5,000 trials") for line in lines[:2])
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (kept,) = re.findall(
        r"(\d+) of 5000 trials are kept; run the same command again to continue", err
    )
    assert int(kept) >= 3
    assert "interrupted by Ctrl-C" in err
    assert "Traceback" not in err
    assert "best: trial" in out
    assert Path("runs/tuning/mlp/best.json").is_file()
    again = json.loads(kd("tune", *RATE, "--trials", str(int(kept) + 1), "--json").stdout)
    assert again["done"] == int(kept) + 1


@pytest.mark.usefixtures("work")
def test_terminal_shows_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Path("shown.txt")
    with shown.open("w") as file:
        monkeypatch.setattr(console, "err", Console(file=file, force_terminal=True, width=80))
        assert kd("tune", *QUICK, "--trials", "2").exit_code == 0
    text = shown.read_text()
    assert "trial 2 of 2, fold" in text
    assert "best: trial" in text
    assert "trial 1: calibrated" not in text
