"""Run commands of kd in forked processes, without importing everything for each of them.

A server process imports numpy, scikit-learn, matplotlib and the toolkit (but not TensorFlow) and
forks for each command, which gets its own folder, environment, stdout and stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]


class Forked:
    """The server process, as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.robustness.forked"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Forked:
        """Return this server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._process.communicate()

    def kd(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> tuple[int, str, str]:
        """Run a command; return its exit code, stdout and stderr (-1 if it took 5 minutes)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"words": list(words), "folder": str(folder), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        response = json.loads(self._process.stdout.readline())
        return response["code"], response["out"], response["err"]


def main() -> None:
    """Serve until stdin ends."""
    import skops.io  # noqa: F401

    from kaggle_digits.cli.main import app
    from kaggle_digits.evaluation import evaluate, label_errors  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if not child:
                _command(app, request, out.fileno(), err.fileno())
            _, status = os.waitpid(child, 0)
            out.seek(0)
            err.seek(0)
            code = os.waitstatus_to_exitcode(status)
            streams = [file.read().decode("utf-8", "surrogateescape") for file in (out, err)]
            sys.stdout.write(
                json.dumps({"code": code, "out": streams[0], "err": streams[1]}) + "\n"
            )
            sys.stdout.flush()


def _command(app: Any, request: Mapping[str, Any], out: int, err: int) -> NoReturn:
    import signal

    signal.alarm(300)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    code: object = 0
    try:
        app(request["words"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


if __name__ == "__main__":
    main()
