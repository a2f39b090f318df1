"""kd train."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.cli import console, train
from kaggle_digits.cli.progress import TrainingProgress
from kaggle_digits.data.dataset import load
from kaggle_digits.data.submission_csv import read_origin, read_submission
from kaggle_digits.imaging.labelled_folder import save_drawing
from kaggle_digits.runs.store import open_run
from kaggle_digits.training import time_limit
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.executor import Cost
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe, run_recipe
from kaggle_digits.training.recipes import RECIPES
from tests.support.commands import QUICK, assert_error, kd
from tests.support.disks import SmallDisk, small_disk
from tests.support.labelled import write_labelled
from tests.support.pictures import draw_digit, encode

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
def test_a_run_without_validation_says_on_how_many_rows_it_was_trained() -> None:
    result = kd("train", *QUICK, "--all-rows", "--rows", "300")
    assert "mlp-1: trained on all 300 rows, without validation" in result.stdout


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--model", "resnet"], 2, "no model called 'resnet'; one of: linear"),
        ([], 2, "which model? kd train NAME"),
        ([], 2, "a good first one: kd train dense"),
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
        ([*QUICK, "--optimizer", "sgd"], 2, "--optimizer would have no effect: model mlp is"),
        ([*QUICK, "--augment"], 2, "--augment would have no effect"),
        (["--model", "dense", "--optimizer", "adagrad"], 2, "--optimizer adagrad is unknown"),
        (["--model", "dense", "--schedule", "cosine"], 2, "--schedule cosine is unknown"),
        (["--model", "dense", "--label-smoothing", "1"], 2, "--label-smoothing 1.0 is outside"),
        (["--recipe", "peer-keras", "--weight-decay", "1"], 2, "optimizer adam has none"),
        ([*QUICK, "--seeds", "1"], 2, "--seeds 1 is too small; at least 2"),
        ([*QUICK, "--seeds", "2", "--time-limit", "9m"], 2, "--time-limit would give each"),
        ([*QUICK, "--time-limit", ""], 2, "--time-limit '' is no duration"),
        ([*QUICK, "--time-limit", "20"], 2, "--time-limit '20' is no duration, such as 90s, 20m"),
        (["--time-limit", "1m", "--folds", "3", "--all-rows"], 2, "choose one of"),
        ([*QUICK, "--time-limit", "1m", "--address", "auto"], 2, "cannot be used with Ray"),
        (["--resume", "--time-limit", "1m"], 2, "--resume uses the settings saved in the run"),
        (["--resume", "--seeds", "2"], 2, "--resume uses the settings saved in the run"),
        ([*QUICK, "--drop-rows", "none.csv"], 1, "none.csv is missing"),
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
    assert_error(kd("train", *QUICK, "--name", "one", "--seed", "5"), 1, "run one already exists")
    Path("runs/one").rename("runs/kept")
    assert_error(kd("train", *QUICK, "--name", "one", "--seed", "5"), 1, "one.csv already exists")
    Path("runs/kept").rename("runs/one")
    assert kd("train", *QUICK, "--name", "one", "--seed", "5", "--force").exit_code == 0
    assert Path("submissions/one-old-1.csv").read_bytes() == before
    assert open_run(Path("runs"), "one-old-1").finished


@pytest.mark.usefixtures("work")
def test_a_run_is_kept_if_its_submission_cannot_be_written() -> None:
    Path("file").touch()
    failed = kd("train", "linear", "--rows", "200", "--submissions-dir", "file")
    assert_error(failed, 1, "cannot write file")
    advice = "run linear-1 is finished; to write its submission: kd predict --submissions-dir file"
    assert f"{advice} linear-1" in " ".join(failed.stderr.split())
    assert open_run(Path("runs"), "linear-1").finished


@pytest.mark.usefixtures("work")
def test_force_moves_nothing_before_the_training_begins() -> None:
    assert kd("train", *QUICK, "--name", "one").exit_code == 0
    before = sorted(map(str, [*Path("submissions").iterdir(), *Path("runs").iterdir()]))
    Path("model_file.py").write_text("def broken():\n    raise ValueError('no')\n")
    assert kd("train", "model_file:broken", "--name", "one", "--force").exit_code != 0
    words = ["train", "model_file:broken", "--name", "one", "--seeds", "2", "--seed", "1"]
    assert kd(*words, "--force").exit_code != 0
    after = sorted(map(str, [*Path("submissions").iterdir(), *Path("runs").iterdir()]))
    assert after == before


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
    words = ["--model", "mlp", "--epochs", "8", "--folds", "4", "--name", "long"]
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
    assert "of 4 members of run long are finished and saved" in stderr
    assert stderr.splitlines()[-1].endswith("resume: kd train --resume --name long")
    result = kd("train", "--resume", "--name", "long")
    assert result.exit_code == 0, result.output
    assert open_run(Path("runs"), "long").metrics()["n_val"] == 1078


@pytest.mark.usefixtures("work")
def test_ctrl_c_in_a_single_model_names_resume_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def press_ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingProgress, "on_member_begin", press_ctrl_c)
    result = kd("train", "--model", "mlp", "--epochs", "1", "--name", "one")
    assert result.exit_code == 130
    lines = result.stderr.splitlines()
    assert lines[-1] == "run one is not finished; resume: kd train --resume --name one"


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
    assert "with the same --folds, --repeats, --rows and --seed" in other.stderr
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


@pytest.mark.usefixtures("work")
def test_network_settings_are_options() -> None:
    words = ["--optimizer", "muon", "--schedule", "constant", "--weight-decay", "0.5"]
    words += ["--label-smoothing", "0.2", "--augment", "--epochs", "1", "--rows", "200"]
    # One was pushed to Kaggle and not pulled yet, and Kaggle rejected the other.
    for name in ("softmax-1/push.json", "softmax-2/.lock"):
        Path("runs/.remote", name).parent.mkdir(parents=True)
        Path("runs/.remote", name).touch()
    assert kd("train", "--model", "softmax", *words).exit_code == 0
    recipe = run_recipe(open_run(Path("runs"), "softmax-2"))
    assert isinstance(recipe, Recipe)
    assert (recipe.optimizer, recipe.schedule, recipe.weight_decay) == ("muon", "constant", 0.5)
    assert (recipe.label_smoothing, recipe.augment) == (0.2, Augmentation())


@pytest.mark.usefixtures("work")
def test_seeds_are_runs_with_a_mean_and_a_spread() -> None:
    words = [*QUICK, "--rows", "400", "--seeds", "3"]
    result = kd("train", *words, "--json")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    names = [run["run"] for run in printed["runs"]]
    assert names == ["mlp-seed1", "mlp-seed2", "mlp-seed3"]
    assert [open_run(Path("runs"), name).config()["seed"] for name in names] == [1, 2, 3]
    accuracies = [run["val_accuracy"] for run in printed["runs"]]
    summary = printed["summary"]
    assert summary["mean"] == pytest.approx(np.mean(accuracies))
    assert summary["standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert (summary["lowest"], summary["highest"]) == (min(accuracies), max(accuracies))
    assert all(Path(run["submission"]).is_file() for run in printed["runs"])
    # The same command resumes the series: what is finished is kept.
    before = Path("runs/mlp-seed1/metrics.json").read_bytes()
    result = kd("train", *QUICK, "--rows", "400", "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert "mlp, 2 seeds: mean accuracy" in result.stdout
    assert Path("runs/mlp-seed1/metrics.json").read_bytes() == before
    assert "because the runs share training rows" in result.stderr
    # Each seed chooses other rows.
    folds = kd("train", *QUICK, "--rows", "100", "--folds", "2", "--seeds", "2", "--name", "folds")
    assert "because the runs share training rows" in folds.stderr
    other = kd("train", *QUICK, "--rows", "300", "--seeds", "2")
    assert other.exit_code == 1
    assert "run mlp-seed1 already exists with other settings" in other.stderr
    # Each name is checked before the first run is trained.
    assert kd("runs", "rename", "mlp-seed1", "kept").exit_code == 0
    later = kd("train", *QUICK, "--rows", "300", "--seeds", "2")
    assert "run mlp-seed2 already exists with other settings" in later.stderr
    assert not Path("runs/mlp-seed1").exists()


@pytest.mark.usefixtures("work")
def test_dropped_rows_are_not_trained_on(tmp_path: Path) -> None:
    drop = tmp_path / "drop.csv"
    drop.write_text("line\n2\n3\n4\n", encoding="utf-8")
    words = ["--model", "linear", "--folds", "2", "--rows", "300"]
    assert kd("train", *words, "--name", "all").exit_code == 0
    result = kd("train", *words, "--name", "some", "--drop-rows", drop)
    assert result.exit_code == 0, result.output
    assert "3 rows in" in result.stderr
    one, other = (open_run(Path("runs"), name) for name in ("all", "some"))
    assert other.config()["dropped_rows"]["lines"] == [2, 3, 4]
    assert one.config()["split_fingerprint"] == other.config()["split_fingerprint"]
    assert one.metrics()["n_val"] == other.metrics()["n_val"] == 300
    probabilities = other.test()
    shutil.rmtree("runs/some/members/1")
    drop.unlink()
    assert kd("train", "--resume", "--name", "some").exit_code == 0
    assert np.array_equal(other.test(), probabilities)


@pytest.mark.usefixtures("work")
def test_widths_are_typed_as_they_are_shown() -> None:
    assert "128-128" in kd("recipes", "dense").stdout
    for name, widths in (("a", "8-4"), ("b", "8,4")):
        done = kd("train", "mlp", "--epochs", "1", "--widths", widths, "--name", name)
        assert done.exit_code == 0, done.output
        assert open_run(Path("runs"), name).config()["recipe"]["widths"] == [8, 4]


@pytest.mark.usefixtures("work")
def test_extra_pictures_are_trained_on_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_has_width", lambda: False)  # no column is left out
    folder = write_labelled(tmp_path / "drawings", [1, 4, 7])
    save_drawing(folder, encode(Image.new("L", (60, 60), 255)), 8)
    words = ["linear", "--rows", "300", "--seeds", "2", "--name", "more", "--extra", folder]
    result = kd("train", *words)
    assert result.exit_code == 0, result.output
    assert "3 pictures in" in result.stderr
    assert "not trained on: 1 (0004.png: no digit found)" in result.stderr
    assert "more-seed1 was trained on 3 extra pictures" in result.stderr
    run = open_run(Path("runs"), "more-seed1")
    recorded = run.config()["extra"]
    assert (recorded["folder"], recorded["rows"], len(recorded["sha256"])) == ("drawings", 3, 64)
    assert run.metrics()["n_train_rows"] + run.metrics()["n_val"] == 303
    origin = read_origin(Path("submissions/more-seed1.csv"))
    assert origin is not None
    assert origin.extra_rows == 3
    listed = kd("runs")
    assert "sample + 3" in listed.stdout
    assert "more-seed1 was trained on 3 extra pictures" in listed.stderr
    assert json.loads(kd("runs", "--json").stdout)["runs"][0]["extra_rows"] == 3
    assert "extra.rows" in kd("runs", "more-seed1").stdout
    kd("evaluate", "more-seed1")
    assert "3, which every model was" in (run.path / "report.html").read_text(encoding="utf-8")
    assert "extra" in kd("classify", folder, "--check", "--run", "more-seed1").stderr
    # The series is only resumed with the same pictures.
    save_drawing(folder, encode(draw_digit(7)), 7)
    assert_error(kd("train", *words), 1, "already exists with other settings")
    assert_error(kd("train", "--resume", "more-seed1", "--extra", folder), 2, "--resume")


@pytest.mark.usefixtures("work")
def test_the_recipe_is_chosen_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "measure", lambda *_: Cost(1.0, 1.0, 1.0))
    small = {"fast": Recipe("linear"), "cnn": Recipe("mlp", widths=(16,), epochs=4)}
    monkeypatch.setattr(time_limit, "CHOICES", ("cnn", "fast"))
    for name, recipe in small.items():
        monkeypatch.setitem(RECIPES, name, recipe)
    result = kd("train", "--time-limit", "10m", "--rows", "300", "--json")
    assert result.exit_code == 0, result.output
    limit = json.loads(result.stdout)["time_limit"]
    assert "chose cnn: cnn needs about" in limit["reason"]
    assert limit["summary"].startswith("mlp: 4 of 4 epochs, 1 of 1 members")
    assert "time limit 600 s: chose cnn" in result.stderr


def test_the_command_to_resume_repeats_what_it_needs() -> None:
    given = {"model": "dense", "runs_dir": Path("r s"), "workers": 2, "force": True, "epochs": 3}
    assert train._resume_command(given, "a") == "kd train --resume --name a --workers 2"
    series = {"named": "mine:bayes", "seeds": 3, "augment": False, "as_json": True, "force": True}
    assert train._resume_command(series, "a-seed2") == (
        "kd train --json --no-augment mine:bayes --seeds 3 --trust"
    )
