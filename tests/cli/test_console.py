"""Printing: redaction, safe characters, number formats, and unusual standard streams."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_digits.cli import console
from tests.robustness.hostile_words import shown
from tests.support.commands import RUN_EACH
from tests.support.fixtures import home

__all__ = ["home"]

posix = pytest.mark.skipif(os.name != "posix", reason="as a POSIX shell has them")
KD = f"{sys.executable} -m kaggle_digits"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}

RAISE = """
import sys
from kaggle_digits.cli import main
def fail():
    try:
        raise ValueError("header value: 'Bearer KGAT_planted'")
    except ValueError as error:
        raise RuntimeError("Failed to parse: http://me:planted%2Fpass@proxy:1") from error
main.app = fail
main.main()
"""


def test_tracebacks_are_redacted(home: Path) -> None:
    secrets = {"KAGGLE_API_TOKEN": "KGAT_planted", "HTTPS_PROXY": "http://me:planted%2Fpass@p:1"}
    done = subprocess.run(
        [sys.executable, "-c", RAISE], env=os.environ | secrets, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 2
    assert "header value: 'Bearer ***'" in done.stderr
    assert "planted" not in done.stderr


def test_lines_are_redacted(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "[planted]")
    for tell in (console.note, console.warn, console.error):
        tell("it is [planted] here")
    assert "planted" not in capsys.readouterr().err


def test_table_cells_are_one_line_without_markup() -> None:
    assert console.cell("a\n\x1b[31mb [bold]c[/bold]") == r"a �[31mb \[bold]c\[/bold]"


@posix
def test_lines_on_a_terminal_break_between_words_but_not_in_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pty

    controller, terminal = pty.openpty()
    monkeypatch.setenv("COLUMNS", "80")
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(console, "err", console._Console(file=stream, highlight=False))
        console.warn(
            "accuracy 75.00 % (66.07–82.21) on 108 validation rows, log loss 1.2129, seed 0, error "
            "9.82 %; to see it: kd show 431 --run a-run-with-a-long-name-of-many-words, or not"
        )
        lines = os.read(controller, 4096).decode().splitlines()
    os.close(controller)
    plain = [re.sub(r"\x1b[^m]*m", "", line) for line in lines]
    assert max(map(len, plain)) <= 80
    assert [line.split()[-1] for line in plain[:2]] == ["1.2129,", "it:"]
    assert "kd show 431 --run a-run-with-a-long-name-of-many-words" in "|".join(plain)


def test_json_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": "\x9b31m\x1b[2J\u202eä\x7f"}
    console.print_json(value)
    out = capsys.readouterr().out
    assert not shown(out, "")
    assert json.loads(out) == value


def test_differences_have_a_sign() -> None:
    changes = [(3, ".0f"), (-2, ".0f"), (0, ".0f"), (-0.00041, ".4f"), (-0.000001, ".4f")]
    shown = [console.signed(value, form) for value, form in changes]
    assert shown == ["+3", "−2", "0", "−0.0004", "0.0000"]


def shell(
    command: str, folder: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
    )


@posix
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_commands_work_with_closed_streams(streams: str, sample: Path, tmp_path: Path) -> None:
    done = shell(f"{KD} fetch --source {sample} {streams}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    files = sorted(path.name for path in (tmp_path / "data").glob("*.csv"))
    assert files == ["sample_submission.csv", "test.csv", "train.csv"]


@posix
def test_closed_descriptors_are_not_reused_for_files(tmp_path: Path, sample: Path) -> None:
    words = "train --model softmax --epochs 1 --rows 100 --name a"
    done = shell(f"{KD} {words} --data-dir {sample} >&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "submissions" / "a.csv").read_bytes().startswith(b"ImageId,Label\r\n1,")
    assert (tmp_path / "runs" / "a" / ".lock").read_bytes() == b""


@posix
def test_full_disk_behind_stdout_is_an_error(tmp_path: Path) -> None:
    for words in ("recipes", "recipes --json"):
        done = shell(f"{KD} {words} > /dev/full", tmp_path)
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        line = done.stderr.decode().splitlines()[-1]
        assert line.startswith("error: the result cannot be written to standard output (No space")


@posix
@pytest.mark.parametrize("words", ["recipes", "fetch --source {}"])
def test_closed_pipe_does_not_stop_the_work(words: str, sample: Path, tmp_path: Path) -> None:
    done = shell(f"{KD} {words.format(sample)} 2>&1 | head -c 1", tmp_path)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert ("fetch" in words) == (tmp_path / "data" / "source.json").exists()


@posix
def test_ascii_locale(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "größer 数字"
    folder.mkdir()
    words = [f"fetch --source {sample}", "inspect --json", "inspect", "--help", "recipes"]
    command = [sys.executable, "-c", RUN_EACH, *words]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **ASCII}, capture_output=True)
    assert done.returncode == 0, done.stderr
    fetched, as_json, *others = done.stdout.decode("ascii").split("end of output\n")[:-1]
    assert fetched
    assert json.loads(as_json)
    assert len(others) == 3
    assert all(others)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_characters_that_a_console_lacks_have_plain_twins(encoding: str, tmp_path: Path) -> None:
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "HOME": str(tmp_path)}
    done = shell(f"{KD} doctor --offline", tmp_path, env)
    lines = done.stdout.decode(encoding).splitlines()
    assert lines[0].startswith("+ kaggle-digits: ")
    assert any(line.startswith("    -> kd fetch") for line in lines)


COLUMNS = {"run": "", "accuracy\n(95 % interval)": "", "rows": ",", "settings": "", "time": ">"}
NAME = "a-name-as-long-as-the-longest-one-that-a-run-may-have-here-64-ch"


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", ["dense-1", "mine:smile:", NAME])
def test_a_table_fits_the_window_and_shows_the_name(
    width: int,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    settings = "optimizer muon, learning_rate 0.02, widths 64,32, dropout 0.25"
    rows = [(name, "97.65 % (97.14–98.07)", 42_000, settings, None), ("b", None, 1, None, None)]
    console.show_table(COLUMNS, rows)
    table, notes = capsys.readouterr()
    assert max(map(len, table.splitlines())) <= width
    assert re.search(rf"^{name} ", table, re.MULTILINE)
    assert "97.65 %" in table
    assert "time" not in table, "no row has a value"
    if name == "dense-1":
        assert not notes
        assert "42,000" in table
    elif name == NAME and width == 80:
        assert notes == "no room for: rows, settings; widen the window, or see --json\n"


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_only_where_cursor_movements_are_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    assert console.err.is_terminal
    with monkeypatch.context() as notebook:
        notebook.setenv("TERM", "xterm-color")  # as a kernel of Jupyter sets them for !kd
        notebook.setenv("GIT_PAGER", "cat")
        notebook.setenv("FORCE_COLOR", "1")
        assert not console.err.is_terminal
    monkeypatch.setenv(console.QUIET_VARIABLE, "1")
    assert not console.err.is_terminal
    console.note("only information")
    console.warn("something")
    assert sys.stderr.getvalue() == "warning: something\n"


def test_output_replaces_the_sign_of_work_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for stream, end in ((Terminal(), "\r"), (io.StringIO(), "\n")):
        monkeypatch.setattr(sys, "stderr", stream)
        console.printed.clear()
        console.sign_of_work("working …")
        assert "working …" in stream.getvalue()
        assert stream.getvalue().endswith(end)
        console.note("done")
        assert ("\x1b[2K" in stream.getvalue()) == (end == "\r")
        before = stream.getvalue()
        console.sign_of_work("working …")
        assert stream.getvalue() == before


def test_an_install_command_is_not_broken_and_the_rest_of_a_line_is_indented() -> None:
    terminal = Terminal()
    command = "pip install -e '/a/long/path/of/a/checkout[mlflow]'"
    text = f"    the option --log-to mlflow needs mlflow; install it: {command} and try again"
    wrapped = console.wrap(text, console._Console(file=terminal, width=80))
    assert command in wrapped
    assert all(line.startswith("    ") for line in wrapped.splitlines())


def test_durations_have_one_format() -> None:
    shown = [console.seconds(value) for value in (None, 0.04, 7.46, 9.96, 35.2, 1296.0)]
    assert shown == ["–", "0.0 s", "7.5 s", "10 s", "35 s", "1,296 s"]


def test_stderr_on_a_full_disk_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise Python flushes it again at exit and may end with code 120."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    discarded: list[object] = []
    full = Full()
    monkeypatch.setattr(sys, "stderr", full)
    monkeypatch.setattr(console, "discard", discarded.append)
    console.printed.clear()
    console.sign_of_work("working …")
    assert discarded == [full]
    console.note("done")
    assert discarded == [full, full]
