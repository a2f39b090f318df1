"""Run ``kd`` inside the test process, and check how it fails."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from kaggle_digits.cli.main import app

QUICK = ["--model", "mlp", "--widths", "16", "--epochs", "2"]

# A process that runs each of its arguments as a command, and imports what they need once.
RUN_EACH = """
import sys
from kaggle_digits.cli.main import main
for words in sys.argv[1:]:
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    print("end of output", flush=True)
"""


def kd(
    *args: object, stdin: str | bytes | None = None, env: dict[str, str] | None = None
) -> Result:
    """Run ``kd`` with ``args``."""
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin, env=env)


def assert_error(result: Result, exit_code: int, *messages: str) -> None:
    """Assert that one error line on stderr has all ``messages`` and that stdout is empty."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, result.stderr
    for message in messages:
        assert message in errors[0]
