"""kd train."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.data.dataset import load
from kaggle_digits.data.submission_csv import read_origin, read_submission
from kaggle_digits.runs.run import open_run
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.recipes import RECIPES
from tests.support.commands import QUICK, assert_error, kd
from tests.support.disks import SmallDisk, small_disk

__all__ = ["small_disk"]


@pytest.mark.usefixtures("work")
def test_train_writes_run_and_submission(sample: Path) -> None:
    result = kd("train", *QUICK)
    assert result.exit_code == 0, result.output
    assert "mlp-1: " in result.stdout
    assert "on 108 validation rows (95 % interval)" in result.stdout
    assert "submissions/mlp-1.csv: written and checked" in result.stdout
    labels = read_submission(Path("submissions/mlp-1.csv"), load(sample).ids)
    assert np.array_equal(labels, open_run(Path("runs"), "mlp-1").test().argmax(1))
    origin = read_origin(Path("submissions/mlp-1.csv"))
    assert origin is not None
    assert (origin.runs, origin.source, origin.n_val) == (["mlp-1"], "sample", 108)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--model", "resnet"], 2, "no model called 'resnet'; one of: linear"),
        ([], 2, "which model? kd train --model NAME"),
        (["--recipe", "secret"], 2, "no recipe called 'secret'"),
        (["--recipe", "dense", "--model", "cnn"], 2, "recipe dense trains model dense"),
        ([*QUICK[:4], "--epochs", "0"], 2, "--epochs 0 is too small"),
        ([*QUICK[:4], "--epochs", "-3"], 2, "--epochs -3 is too small"),
        ([*QUICK, "--folds", "0"], 2, "--folds 0 is too small"),
        ([*QUICK, "--folds", "-2"], 2, "--folds -2 is too small"),
        ([*QUICK, "--val-fraction", "0"], 2, "--val-fraction 0.0 is not between 0 and 1"),
        ([*QUICK, "--val-fraction", "1.5"], 2, "--val-fraction 1.5"),
        ([*QUICK, "--val-fraction", "0.1", "--folds", "5"], 2, "choose one of"),
        ([*QUICK, "--folds", "5", "--all-rows"], 2, "choose one of"),
        ([*QUICK, "--repeats", "0"], 2, "--repeats 0"),
        ([*QUICK, "--dropout", "1"], 2, "--dropout 1.0 is outside"),
        ([*QUICK, "--dropout", "0.5"], 2, "model mlp has no option --dropout"),
        ([*QUICK, "--widths", "a,b"], 2, "--widths 'a,b' is not a list of whole numbers"),
        ([*QUICK, "--widths", "0"], 2, "--widths 0 is too small"),
        ([*QUICK, "--normalize", "max"], 2, "--normalize max is unknown; one of: unit, l2"),
        ([*QUICK, "--learning-rate", "0"], 2, "--learning-rate 0.0"),
        ([*QUICK, "--batch-size", "0"], 2, "--batch-size 0"),
        ([*QUICK, "--patience", "0"], 2, "--patience 0"),
        ([*QUICK, "--rows", "5"], 2, "--rows 5 is too small"),
        ([*QUICK, "--rows", "99999"], 2, "more than the 1078 labelled rows"),
        ([*QUICK, "--seed", "-1"], 2, "--seed -1"),
        ([*QUICK, "--name", "../up"], 2, "cannot name a run"),
        ([*QUICK, "--name", "a.b"], 2, "cannot name a run"),
        ([*QUICK, "--rows", "30", "--folds", "20"], 1, "fewer than the 20 that --folds 20 needs"),
        (["--resume"], 1, "no unfinished run in runs"),
        (["--resume", "--epochs", "3"], 2, "--resume uses the settings saved in the run"),
        (["--resume", "--name", "absent"], 1, "no run called absent"),
    ],
)
def test_invalid_options_are_one_line(words: list[str], code: int, message: str) -> None:
    assert_error(kd("train", *words), code, message)
    assert not Path("submissions").exists()
    assert not list(Path("runs").glob("*/config.json"))


@pytest.mark.usefixtures("work")
def test_existing_run_and_submission_are_not_overwritten() -> None:
    assert kd("train", *QUICK, "--name", "one").exit_code == 0
    before = Path("submissions/one.csv").read_bytes()
    assert_error(kd("train", *QUICK, "--name", "one", "--seed", "5"), 1, "one.csv already exists")
    Path("submissions/one.csv").rename("submissions/kept.csv")
    assert_error(kd("train", *QUICK, "--name", "one", "--seed", "5"), 1, "run one already exists")
    Path("submissions/kept.csv").rename("submissions/one.csv")
    assert kd("train", *QUICK, "--name", "one", "--seed", "5", "--force").exit_code == 0
    assert Path("submissions/one-old-1.csv").read_bytes() == before
    assert open_run(Path("runs"), "one-old-1").finished


@pytest.mark.usefixtures("work")
def test_missing_data_error_names_kd_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KD_DATA_DIR", str(tmp_path / "nothing"))
    assert_error(kd("train", *QUICK), 1, "train.csv, test.csv, sample_submission.csv not found")


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("kilobytes", [4, 20, 80, 150])
def test_full_disk_is_one_line_and_leaves_no_partial_files(
    kilobytes: int, small_disk: SmallDisk
) -> None:
    disk = small_disk(kilobytes)
    words = ["--folds", "2", "--runs-dir", str(disk / "runs"), "--name", "one"]
    assert_error(kd("train", *QUICK, *words), 1, "no space left on the disk", "run it again")
    for path in disk.rglob("*"):
        assert not path.name.endswith((".part", ".part.npy")), path
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix == ".npy":
            np.load(path)


def test_custom_model(work: Path) -> None:
    (work / "mine.py").write_text(
        "from sklearn.naive_bayes import GaussianNB\n\n\ndef bayes():\n"
        "    return GaussianNB(var_smoothing=0.1)\n"
    )
    result = kd("train", "--model", "mine:bayes")
    assert result.exit_code == 0, result.output
    assert "mine-bayes-1: " in result.stdout
    assert open_run(Path("runs"), "mine-bayes-1").config()["model"] == "mine:bayes"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_saves_finished_members_and_names_resume_command(work: Path) -> None:
    words = ["--model", "mlp", "--epochs", "8", "--folds", "6", "--name", "long"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kaggle_digits", "train", *words],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background makes them ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    while not (work / "runs/long/members/0/member.json").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert "Traceback" not in stderr
    assert "of 6 members of run long are finished and saved" in stderr
    assert "kd train --resume --name long" in stderr
    result = kd("train", "--resume", "--name", "long")
    assert result.exit_code == 0, result.output
    assert open_run(Path("runs"), "long").metrics()["n_val"] == 1078


def test_ensemble_recipe_is_one_run_and_one_submission(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = EnsembleRecipe("best", (Recipe("linear"), Recipe("mlp", widths=(16,), epochs=2)), folds=3)
    monkeypatch.setitem(RECIPES, "best", two)
    result = kd("train", "--recipe", "best", "--seed", "4")
    assert result.exit_code == 0, result.output
    run = open_run(Path("runs"), "best-1")
    assert run.config()["split"]["folds"] == 3
    assert run.config()["seed"] == 4
    assert "on 1,078 out-of-fold rows" in result.stdout
    assert re.search(
        r"linear: [\d.]+ % alone, weight [\d.]+; adds [+−]?\d+ correct rows", result.stdout
    )
    assert (work / "submissions" / "best-1.csv").is_file()
    result = kd("train", "--recipe", "best", "--val-fraction", "0.2", "--json")
    assert json.loads(result.stdout)["n_val"] == 216
    assert kd("evaluate", "best-1").exit_code == 0
    assert "linear + mlp" in kd("runs", "best-1").stdout
    assert kd("train", "--recipe", "best", "--model", "mlp").exit_code == 2
    assert kd("train", "--recipe", "best", "--folds", "0").exit_code == 2


def test_leaking_pseudo_labels_are_reported(work: Path) -> None:
    small = ["--model", "mlp", "--widths", "32", "--epochs", "3"]
    assert kd("train", *small, "--folds", "2", "--name", "teacher").exit_code == 0
    apart = kd("train", *small, "--folds", "2", "--pseudo", "teacher", "--name", "student")
    assert apart.exit_code == 0, apart.output
    assert "leak" not in apart.output
    other = kd("train", *small, "--pseudo", "teacher", "--name", "other")
    leak = "leaked through the pseudo-labels of run teacher"
    assert leak in other.stderr
    assert "other: no out-of-fold accuracy (leaked: " in other.stdout
    assert leak in pseudo_label_passage(work, "other")
    assert "leak" not in pseudo_label_passage(work, "student")
    missing = kd("train", *small, "--pseudo", "nobody")
    assert missing.exit_code == 1
    assert "no run called nobody" in missing.stderr


def pseudo_label_passage(work: Path, run: str) -> str:
    """Return the passage on pseudo-labels in the report of ``run``."""
    assert kd("evaluate", run).exit_code == 0
    page = (work / "runs" / run / "report.html").read_text(encoding="utf-8")
    assert "test images labelled by run teacher" in page
    return page.partition("test images labelled by run teacher")[2][:200]
