"""Behaviour of every command: help, exit codes, errors in one line, shell completion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits import __version__
from kaggle_digits.cli import console
from kaggle_digits.cli.main import EXAMPLES, app
from kaggle_digits.core.errors import DataError, UsageError
from tests.support.commands import RUN_EACH

TRAIN = "train --model dense --widths 16 --rows 100 --epochs 2 --optimizer sgd --name a"
COMMANDS = (TRAIN, "evaluate a")
SETTINGS = """
import kaggle_digits.cli.main  # first, as for a user
from kaggle_digits.evaluation import evaluate
from kaggle_digits.plots import style
evaluate.MOST_SHOWN, evaluate.MOST_EXPLAINED, style.DPI = 6, 3, 75  # as in tests/conftest.py
"""
NAMES = [example.split()[1] for examples in EXAMPLES.values() for example in examples]


def kd(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr


def test_without_arguments_help_is_shown() -> None:
    code, stdout, stderr = kd()
    assert code == 0
    assert all(name in stdout for name in NAMES)
    assert not stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(name: str) -> None:
    code, stdout, _ = kd(name, "--help")
    assert code == 0
    assert f"kd {name}" in stdout
    first = stdout.split("Usage:")[1].splitlines()[2].strip()
    assert len(first) > 20, "a sentence about what it does"
    assert f"Example: kd {name}" in stdout
    assert kd(name, "-h") == (code, stdout, "")


def test_version() -> None:
    assert kd("--version") == (0, f"kaggle-digits {__version__}\n", "")
    assert kd("-V") == kd("--version")


def test_settings_of_other_tools_change_no_prediction_and_no_plot(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``python -m tests.robustness other_tools`` tries many more."""
    monkeypatch.setenv("KD_DATA_DIR", str(sample))
    plain, hostile = tmp_path / "plain", tmp_path / "hostile"
    plain.mkdir()
    monkeypatch.chdir(plain)
    for words in COMMANDS:
        assert kd(*words.split())[0] == 0
    (hostile / ".keras").mkdir(parents=True)
    (hostile / ".keras" / "keras.json").write_text('{"floatx": "float16"}')
    (hostile / "matplotlibrc").write_bytes("font.size: 30".encode("utf-16"))
    settings = {
        "HOME": str(hostile),
        "KERAS_MAX_EPOCHS": "1",
        "MPLBACKEND": "module://no_such.backend_inline",
        "PYTHONWARNINGS": "error",
        "TF_USE_LEGACY_KERAS": "1",
        "XLA_FLAGS": "--no_such_flag",
    }
    command = [sys.executable, "-c", SETTINGS + RUN_EACH, *COMMANDS]
    env = {**os.environ, **settings}
    done = subprocess.run(command, cwd=hostile, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    paths = [*plain.glob("runs/a/*.npy"), *plain.glob("runs/a/figures/*.png")]
    assert len(paths) > 5
    for path in paths:
        assert path.read_bytes() == (hostile / path.relative_to(plain)).read_bytes(), path


def test_wrong_usage_exits_with_2() -> None:
    assert kd("nonsense")[0] == 2
    assert kd("train", "--epochs", "many")[0] == 2
    assert kd("evaluate")[0] == 2


def make_recipes_raise(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make ``kd recipes --json`` raise ``error``."""

    def raises(*words: object) -> None:
        raise error

    monkeypatch.setattr(console, "print_json", raises)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("train.csv is bad;\nfetch it"), 1, "error: train.csv is bad; fetch it\n"),
        (UsageError("[bold]--x[/bold]"), 2, "error: [bold]--x[/bold]\n"),
        (KeyboardInterrupt(), 130, "error: interrupted by Ctrl-C\n"),
        (
            ZeroDivisionError("oh"),
            1,
            "error: unexpected ZeroDivisionError: oh — this is a bug in kd",
        ),
    ],
)
def test_errors_are_one_line_on_stderr(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_recipes_raise(monkeypatch, error)
    exit_code, stdout, stderr = kd("recipes", "--json")
    assert (exit_code, stdout) == (code, "")
    assert stderr.startswith(line)
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("place", [0, 1])
def test_debug_is_accepted_before_and_after_the_command(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(console.DEBUG_VARIABLE, "")
    seen = []

    def fail(*words: object) -> None:
        seen.append(console.debugging())
        raise DataError("bad")

    monkeypatch.setattr(console, "print_json", fail)
    words = ["recipes", "--json"]
    words.insert(place, "--debug")
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, DataError)
    assert seen == [True]
    assert not console.debugging()  # only for that command


def test_control_sequences_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    make_recipes_raise(monkeypatch, DataError("a name \x1b[31mred\x1b[0m \x07 in a file"))
    assert "\x1b" not in kd("recipes", "--json")[2]
    assert "\x07" not in kd("recipes", "--json")[2]


@pytest.mark.skipif(os.name != "posix", reason="pipes as on POSIX")
def test_closed_pipe_is_not_an_error() -> None:
    command = f"{sys.executable} -m kaggle_digits recipes --json | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 128 + signal.SIGPIPE)


def test_works_without_home_in_c_locale_and_unicode_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mit Leerzeichen und Übung"
    folder.mkdir()
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    command = [sys.executable, "-m", "kaggle_digits", "fetch", "--source", "sample"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "data" / "train.csv").exists()


@pytest.mark.parametrize(
    ("typed", "offered"), [("kd tr", {"train"}), ("kd rec", {"recipes"}), ("kd train --va", None)]
)
def test_shell_completion(typed: str, offered: set[str] | None) -> None:
    env = {
        "_KD_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    done = CliRunner().invoke(app, [], env=env, prog_name="kd")
    found = set(done.stdout.split())
    assert found == (offered or {"--val-fraction"})
