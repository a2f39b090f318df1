"""Names as an argument, by default and completed by the shell; the help of every command."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.cli.options import recipe_and_model
from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset
from tests.support.advice import COMMANDS, commands_in, fault
from tests.support.commands import QUICK, assert_error, kd
from tests.support.small_runs import write_run

WORDS = sorted({words for words in COMMANDS if words[-1] != "show"})


@pytest.fixture
def runs(work: Path, dataset: Dataset) -> Path:
    """The runs ``old`` and ``new`` in runs/ of the current folder."""
    oof = np.eye(10, dtype=np.float32)[dataset.labels]
    metrics = {"val_accuracy": 1.0, "val_accuracy_ci95": [0.9, 1.0], "val_loss": 0.0}
    for name, created in (
        ("old", "2026-01-02T03:04:05+00:00"),
        ("new", "2026-01-02T03:04:05-05:00"),
    ):
        run = write_run(work / "runs", dataset, oof, name, created=created)
        run.write_metrics({**metrics, "n_val": len(oof), "train_seconds": 1.5})
    return work / "runs"


def completed(words: str) -> set[str]:
    """Return what the shell offers after ``words``."""
    env = {
        "_KD_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    return set(CliRunner().invoke(app, [], env=env, prog_name="kd").stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("kd train den", {"dense", "dense-deep"}),
        ("kd train --model str", {"strong", "strong-3x3"}),
        ("kd tune --recipe be", {"best"}),
        ("kd evaluate o", {"old"}),
        ("kd runs n", {"new", "note"}),
        ("kd runs rm old n", {"new"}),
        ("kd compare old n", {"new"}),
        ("kd submit o", {"old"}),
        ("kd train dense --pseudo o", {"old"}),
        ("kd classify x.png --run n", {"new"}),
        ("kd study de", {"denoise"}),
        ("kd export old --format t", {"tflite"}),
        ("kd fetch sa", {"sample"}),
        ("kd runs --sort d", {"date"}),
    ],
)
def test_names_are_completed(words: str, offered: set[str], runs: Path) -> None:
    assert completed(words) == offered


@pytest.mark.usefixtures("work")
def test_recipe_and_source_are_arguments() -> None:
    done = kd("train", "mlp", *QUICK[2:], "--lr", "0.01", "--name", "one", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    assert '"learning_rate": 0.01' in Path("runs/one/config.json").read_text()
    Path("runs/one/metrics.json").unlink()
    assert kd("train", "--resume", "one").exit_code == 0
    assert kd("fetch", "sample", "--data-dir", "data").exit_code == 0
    twice = kd("fetch", "sample", "--source", "openml", "--data-dir", "data")
    assert_error(twice, 2, "sample and --source openml mean the same")


@pytest.mark.usefixtures("work")
def test_commands_to_type_repeat_the_folders_that_were_given() -> None:
    fetched = kd("fetch", "sample", "--data-dir", "my data")
    both = "next: kd inspect --data-dir 'my data', or kd train --data-dir 'my data' dense\n"
    assert both in fetched.stderr
    words = ["--name", "one", "--data-dir", "my data", "--runs-dir", "other"]
    assert "next: kd evaluate --data-dir 'my data' --runs-dir other one · to submit: kd fetch" in (
        kd("train", *QUICK, *words).stderr
    )
    again = "resume it: kd train --data-dir 'my data' --runs-dir other --resume --name one, or"
    assert_error(kd("train", *QUICK, *words), 1, again)
    both = "kd fetch --data-dir none (or kd fetch --data-dir none sample, which"
    assert_error(kd("inspect", "--data-dir", "none"), 1, both)
    assert "make one: kd train --runs-dir none dense" in kd("runs", "--runs-dir", "none").stderr
    assert "make one: kd train dense" in kd("runs", env={"KD_RUNS_DIR": "none"}).stderr


def test_own_functions_are_models_and_everything_else_a_recipe() -> None:
    assert recipe_and_model("mine:small", None, None) == (None, "mine:small")
    assert recipe_and_model("mine.json", None, "mine:small") == ("mine.json", "mine:small")
    assert recipe_and_model(None, "best", None) == ("best", None)
    with pytest.raises(UsageError, match="dense and --recipe best mean the same"):
        recipe_and_model("dense", "best", None)


def test_the_newest_run_is_the_default_and_named(runs: Path) -> None:
    done = kd("labels")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("run new, the newest; for another one, give its name")
    assert done.stdout.startswith("new: ")
    for each in runs.glob("*/metrics.json"):
        each.unlink()
    for command in ("evaluate", "predict", "labels", "export"):
        assert_error(kd(command), 2, "which run? none in runs is finished yet")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["train", "dens"], "did you mean dense?"),
        (["train", "--model", "Dense"], "did you mean dense?"),
        (["tune", "--recipe", "stong"], "did you mean strong?"),
        (["recipes", "bst"], "did you mean best?"),
        (["study", "denose"], "did you mean denoise?"),
        (["study", "denoise", "--noise", "uniforn"], "did you mean uniform?"),
        (["fetch", "smaple"], "did you mean sample?"),
        (["export", "old", "--format", "tflit"], "did you mean tflite?"),
        (["evaluate", "olt"], "did you mean old?"),
        (["train", "dense", "--normalize", "units"], "did you mean unit?"),
        (["runs", "--sort", "dat"], "did you mean date?"),
    ],
)
def test_a_similar_name_is_offered(words: list[str], hint: str, runs: Path) -> None:
    done = kd(*words)
    assert hint in done.stderr
    assert done.exit_code in (1, 2)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    "words",
    [
        ["--name", "a b"],
        ["--name", "log"],
        ["--widths", "5,x"],
        ["--widths", "0"],
        ["--epochs", "0"],
    ],
)
def test_names_and_settings_are_checked_before_the_data_is_read(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_DATA_DIR", "nothing")
    done = kd("train", "dense", *words)
    assert done.exit_code == 2
    assert "not found" not in done.stderr
    assert "not found" not in kd("train", "linear", "--widths", "5").stderr


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_has_one_style(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, [*words, "-h"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if re.search(r"<[a-z]|[{}]", line)]
    if words != ("remote",):
        (example,) = [line for line in lines if "Example: " in line]
        (command,) = commands_in(example.strip())
        assert command.startswith(f"kd {' '.join(words)}")
        assert not fault(command)
