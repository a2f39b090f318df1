"""kd train, runs, predict, ensemble, recipes: as they are typed."""

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
from typer.testing import CliRunner, Result

from kaggle_digits.cli.main import app
from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.data.dataset import load
from kaggle_digits.data.submission_csv import read_origin, read_submission
from kaggle_digits.kaggle_api.submission_log import LogEntry, update_log
from kaggle_digits.runs.store import open_run
from kaggle_digits.sources import fetch
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.recipes import RECIPES
from tests.support.disks import SmallDisk, small_disk

__all__ = ["small_disk"]

QUICK = ["--model", "mlp", "--widths", "16", "--epochs", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, fetched once."""
    folder = tmp_path_factory.mktemp("data")
    fetch("sample", folder)
    return folder


@pytest.fixture
def work(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder whose data/ is the sample."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KD_DATA_DIR", str(data))
    return tmp_path


def kd(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def refused(result: Result, code: int, *words: str) -> None:
    """One line on stderr that says all ``words``, nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, result.stderr
    for word in words:
        assert word in errors[0]


@pytest.mark.usefixtures("work")
def test_train_leaves_a_run_and_a_submission(data: Path) -> None:
    result = kd("train", *QUICK)
    assert result.exit_code == 0, result.output
    assert "mlp-1: " in result.stdout
    assert "on 108 validation rows (95 % interval)" in result.stdout
    assert "submissions/mlp-1.csv: written and checked" in result.stdout
    labels = read_submission(Path("submissions/mlp-1.csv"), load(data).ids)
    assert np.array_equal(labels, open_run(Path("runs"), "mlp-1").test().argmax(1))
    origin = read_origin(Path("submissions/mlp-1.csv"))
    assert origin is not None
    assert (origin.runs, origin.source, origin.n_val) == (["mlp-1"], "sample", 108)


@pytest.mark.usefixtures("work")
def test_json_is_one_object_and_nothing_else() -> None:
    first = json.loads(kd("train", *QUICK, "--json", "--name", "one").stdout)
    assert first["run"] == "one"
    assert first["n_val"] == 108
    listed = json.loads(kd("runs", "--json").stdout)["runs"]
    assert [row["run"] for row in listed] == ["one"]
    whole = json.loads(kd("runs", "one", "--json").stdout)
    assert whole["metrics"]["val_accuracy"] == first["val_accuracy"]
    assert "mlp" in json.loads(kd("recipes", "--json").stdout)


@pytest.mark.usefixtures("work")
def test_runs_lists_the_best_first_and_the_unfinished_last() -> None:
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


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--model", "resnet"], 2, "no model called 'resnet'; one of: linear"),
        ([], 2, "which model? kd train --model NAME"),
        (["--recipe", "secret"], 2, "no recipe called 'secret'"),
        (["--recipe", "dense", "--model", "cnn"], 2, "recipe dense trains model dense"),
        ([*QUICK[:4], "--epochs", "0"], 2, "--epochs 0 is too small"),
        ([*QUICK[:4], "--epochs", "-3"], 2, "--epochs -3 is too small"),
        ([*QUICK, "--folds", "0"], 2, "--folds 0 is too few"),
        ([*QUICK, "--folds", "-2"], 2, "--folds -2 is too few"),
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
        ([*QUICK, "--rows", "5"], 2, "--rows 5 is too few"),
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
def test_what_can_not_be_trained_is_refused_in_one_line(
    words: list[str], code: int, said: str
) -> None:
    refused(kd("train", *words), code, said)
    assert not Path("submissions").exists()
    assert not list(Path("runs").glob("*/config.json"))


@pytest.mark.usefixtures("work")
def test_an_existing_run_or_submission_is_not_written_over() -> None:
    assert kd("train", *QUICK, "--name", "one").exit_code == 0
    before = Path("submissions/one.csv").read_bytes()
    refused(kd("train", *QUICK, "--name", "one", "--seed", "5"), 1, "one.csv already exists")
    Path("submissions/one.csv").rename("submissions/kept.csv")
    refused(kd("train", *QUICK, "--name", "one", "--seed", "5"), 1, "run one already exists")
    Path("submissions/kept.csv").rename("submissions/one.csv")
    assert kd("train", *QUICK, "--name", "one", "--seed", "5", "--force").exit_code == 0
    assert Path("submissions/one-old-1.csv").read_bytes() == before
    assert open_run(Path("runs"), "one-old-1").finished


@pytest.mark.usefixtures("work")
def test_missing_data_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KD_DATA_DIR", str(tmp_path / "nothing"))
    refused(kd("train", *QUICK), 1, "train.csv, test.csv, sample_submission.csv not found")


@pytest.mark.usefixtures("work")
def test_ensemble_and_predict_write_submissions(data: Path) -> None:
    for name, seed in (("one", "0"), ("two", "0"), ("other", "1")):
        words = ["--folds", "3", "--seed", seed, "--name", name]
        widths = "16" if name == "one" else "24"
        assert (
            kd("train", "--model", "mlp", "--widths", widths, "--epochs", "3", *words).exit_code
            == 0
        )
    ids = load(data).ids
    for number, method in enumerate(("mean", "vote", "weighted", "stack"), 1):
        result = kd("ensemble", "one", "two", "--method", method)
        assert result.exit_code == 0, result.output
        assert f"ensemble ({method})" in result.stdout
        assert result.stdout.count("1,078") == 3
        read_submission(Path(f"submissions/ensemble-{number}.csv"), ids)
    for method in ("weighted", "stack"):
        refused(kd("ensemble", "one", "other", "--method", method), 1, "held out different rows")
    assert kd("ensemble", "one", "other").exit_code == 0
    votes = kd("ensemble", "submissions/one.csv", "submissions/two.csv", "-o", "votes.csv")
    assert "majority of 2 files" in votes.stdout
    # Two files that differ tie, so the first decides.
    assert Path("votes.csv").read_bytes() == Path("submissions/one.csv").read_bytes()
    refused(kd("ensemble", "one", "two", "-o", "votes.csv"), 1, "votes.csv already exists")
    found = json.loads(kd("ensemble", "one", "two", "--method", "weighted", "--json").stdout)
    assert sum(member["weight"] for member in found["members"]) == pytest.approx(1)
    assert found["weights_help"] in (True, False)
    for method, warm in (("mean", True), ("vote", False)):
        words = ["one", "two", "--method", method]
        found = json.loads(kd("ensemble", *words, "--json").stdout)
        for member, left in zip(found["members"], reversed(found["members"]), strict=True):
            assert (member["temperature"] is not None) == warm
            assert member["weight"] is None
            # Without it the other is alone, and as often right as it is by itself.
            added = found["ensemble"]["accuracy"] - left["accuracy"]
            assert member["adds"]["right"] == round(1078 * added)
        assert found["weights_help"] is None
        shown = kd("ensemble", *words)
        assert "adds: this ensemble minus the ensemble without that run" in shown.stderr
        assert ("T: temperature" in shown.stderr) == warm
        origin = read_origin(Path(found["submission"]))
        assert origin is not None
        assert (origin.runs, origin.method) == (["one", "two"], method)

    result = kd("predict", "one", "-o", "views.csv", "--tta", "5")
    assert result.exit_code == 0, result.output
    assert "719 rows from 5 views of each image" in result.stdout
    before = Path("submissions/one.csv").read_bytes()
    assert "0 differ" in kd("predict", "one").stdout
    assert Path("submissions/one.csv").read_bytes() == before


@pytest.mark.usefixtures("work")
def test_evaluate_says_how_many_views_are_best() -> None:
    kd("train", *QUICK, "--folds", "2", "--name", "one")
    result = kd("evaluate", "one", "--tta", "9")
    assert result.exit_code == 0, result.output
    assert "on 1,078 held-out rows" in result.stdout
    assert "p (McNemar)" in result.stdout
    best = re.search(
        r"best on these 1,078 held-out rows: (\d) views?.*: kd (predict one --tta (\d))\n",
        result.stdout,
    )
    assert best
    assert best[1] == best[3]
    assert kd(*best[2].split()).exit_code == 0
    found = json.loads(kd("evaluate", "one", "--tta", "9", "--json").stdout)
    assert found["tta"] == 9
    assert found["best_tta"] == int(best[1])
    assert [item["views"] for item in found["views"]] == [1, 5, 9]
    assert found["views"][2]["accuracy"] == found["accuracy"]
    refused(kd("evaluate", "one", "--tta", "2"), 2, "--tta 2 is not offered")
    Path("runs/one/members/0/model.skops").write_bytes(b"")
    refused(kd("evaluate", "one", "--tta", "5"), 1, "model.skops cannot be read")
    # Without --tta only files are read.
    own = json.loads(kd("evaluate", "one", "--json").stdout)
    assert own["accuracy"] == found["views"][0]["accuracy"]
    assert "views" not in own
    kd("train", *QUICK, "--all-rows", "--name", "all")
    refused(kd("evaluate", "all", "--tta", "5"), 1, "no held-out rows")


@pytest.mark.usefixtures("work")
def test_ensemble_refuses_what_it_can_not_combine() -> None:
    kd("train", *QUICK, "--name", "one")
    refused(kd("ensemble", "one"), 2, "at least two different runs")
    refused(kd("ensemble", "one", "one"), 2, "at least two different runs")
    refused(kd("ensemble", "one", "absent"), 1, "no run called absent in runs; there are: one")
    refused(kd("ensemble", "one", "x.csv"), 2, "not both")
    refused(kd("ensemble", "a.csv", "b.csv"), 1, "a.csv is missing")
    refused(kd("predict", "one", "--tta", "2"), 2, "--tta 2 is not offered")
    Path("runs/one/members/0/model.skops").write_bytes(b"")
    refused(kd("predict", "one"), 1, "model.skops cannot be read")
    Path("runs/one/test.npy").write_bytes(b"")
    kd("train", *QUICK, "--name", "two")
    refused(kd("ensemble", "one", "two"), 1, "test.npy is damaged")


@pytest.mark.usefixtures("work")
def test_better_scored_files_decide_ties_and_scores_are_listed() -> None:
    for name, seed in (("one", "0"), ("two", "1")):
        assert kd("train", *QUICK, "--seed", seed, "--name", name).exit_code == 0
    entry = LogEntry(
        time="2026-01-01T00:00:00+00:00",
        file="two.csv",
        sha256=sha256(Path("submissions/two.csv")),
        run="two",
        oof_accuracy=0.9,
        n_val=108,
        ref=1,
        status="complete",
        public_score=0.98765,
        message="two",
    )
    update_log(Path("submissions"), lambda entries: [*entries, entry])
    assert "0.98765" in kd("runs").stdout
    result = kd("ensemble", "submissions/one.csv", "submissions/two.csv", "-o", "votes.csv")
    assert "two.csv: public score 0.98765" in result.stdout
    assert Path("votes.csv").read_bytes() == Path("submissions/two.csv").read_bytes()
    files = ["submissions/one.csv", "submissions/two.csv"]
    found = json.loads(kd("ensemble", *files, "-o", "again.csv", "--json").stdout)
    assert [member["public_score"] for member in found["members"]] == [0.98765, None]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("kilobytes", [4, 20, 80, 150])
def test_a_full_disk_is_one_line_and_what_is_there_is_whole(
    kilobytes: int, small_disk: SmallDisk
) -> None:
    disk = small_disk(kilobytes)
    words = ["--folds", "2", "--runs-dir", str(disk / "runs"), "--name", "one"]
    refused(kd("train", *QUICK, *words), 1, "no space left on the disk", "run it again")
    for path in disk.rglob("*"):
        assert not path.name.endswith((".part", ".part.npy")), path
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix == ".npy":
            np.load(path)


def test_a_model_of_ones_own(work: Path) -> None:
    (work / "mine.py").write_text(
        "from sklearn.naive_bayes import GaussianNB\n\n\ndef bayes():\n"
        "    return GaussianNB(var_smoothing=0.1)\n"
    )
    result = kd("train", "--model", "mine:bayes")
    assert result.exit_code == 0, result.output
    assert "mine-bayes-1: " in result.stdout
    assert open_run(Path("runs"), "mine-bayes-1").config()["model"] == "mine:bayes"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(work: Path) -> None:
    words = ["--model", "mlp", "--epochs", "8", "--folds", "6", "--name", "long"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kaggle_digits", "train", *words],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that a shell runs in the background hands "ignore" down.
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


def test_a_committee_is_one_run_and_one_submission(
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
    told = kd("train", "--recipe", "best", "--val-fraction", "0.2", "--json")
    assert json.loads(told.stdout)["n_val"] == 216
    assert kd("evaluate", "best-1").exit_code == 0
    assert "linear + mlp" in kd("runs", "best-1").stdout
    assert kd("train", "--recipe", "best", "--model", "mlp").exit_code == 2
    assert kd("train", "--recipe", "best", "--folds", "0").exit_code == 2


def test_pseudo_labels_that_know_validation_labels_are_told_of(work: Path) -> None:
    small = ["--model", "mlp", "--widths", "32", "--epochs", "3"]
    assert kd("train", *small, "--folds", "2", "--name", "teacher").exit_code == 0
    apart = kd("train", *small, "--folds", "2", "--pseudo", "teacher", "--name", "pupil")
    assert apart.exit_code == 0, apart.output
    assert "held out other rows" not in apart.stderr
    other = kd("train", *small, "--pseudo", "teacher", "--name", "other")
    assert "teacher held out other rows" in other.stderr
    assert "too high" in kd_report(work, "other")
    assert "too high" not in kd_report(work, "pupil")
    missing = kd("train", *small, "--pseudo", "nobody")
    assert missing.exit_code == 1
    assert "no run called nobody" in missing.stderr


def kd_report(work: Path, run: str) -> str:
    """What the report page of ``run`` says of its pseudo-labels."""
    assert kd("evaluate", run).exit_code == 0
    page = (work / "runs" / run / "report.html").read_text(encoding="utf-8")
    assert "test images labelled by run teacher" in page
    return page.partition("test images labelled by run teacher")[2][:200]
