"""The help of every command: one style of placeholders, an example, 80 columns."""

import re

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from tests.support.advice import COMMANDS, commands_in, fault

WORDS = sorted({words for words in COMMANDS if words[-1] != "show"})


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
