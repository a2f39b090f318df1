"""Printing: redaction, safe characters and number formats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_digits.cli import console
from tests.robustness.hostile_words import shown
from tests.support.fixtures import home

__all__ = ["home"]

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
