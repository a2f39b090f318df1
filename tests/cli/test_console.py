"""A traceback that --debug shows, and a line that a package wrote, without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_digits.cli import console
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


def test_a_traceback(home: Path) -> None:
    secrets = {"KAGGLE_API_TOKEN": "KGAT_planted", "HTTPS_PROXY": "http://me:planted%2Fpass@p:1"}
    done = subprocess.run(
        [sys.executable, "-c", RAISE], env=os.environ | secrets, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 2
    assert "header value: 'Bearer ***'" in done.stderr
    assert "planted" not in done.stderr


def test_a_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "[planted]")
    for tell in (console.note, console.warn, console.error):
        tell("it is [planted] here")
    assert "planted" not in capsys.readouterr().err
