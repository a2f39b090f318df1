"""Shell completion: what the shell asks kd when the user presses Tab."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app


@pytest.mark.parametrize(
    ("typed", "offered"), [("kd tr", {"train"}), ("kd rec", {"recipes"}), ("kd train --va", None)]
)
def test_tab(typed: str, offered: set[str] | None) -> None:
    env = {
        "_KD_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    done = CliRunner().invoke(app, [], env=env, prog_name="kd")
    found = set(done.stdout.split())
    assert found == (offered or {"--val-fraction"})
