"""What the command line prints, and where: results on stdout, all else on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kaggle_digits.cli.streams import discard, supports_unicode
from kaggle_digits.core.errors import StorageError

DEBUG_VARIABLE = "KD_DEBUG"


class _Console(Console):
    """rich's own ends the process where a pipe is broken."""

    def on_broken_pipe(self) -> None:
        """Leave that to whoever printed."""
        raise BrokenPipeError


out = _Console(highlight=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, soft_wrap=True)


def debugging() -> bool:
    """Whether --debug was given: tracebacks shown, TensorFlow's own words let through."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def safe(text: str) -> str:
    """``text`` without markup or control characters of its own; line ends stay."""
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def cell(value: object) -> str:
    """What a file said, as it may stand in a table: on one line, without markup of its own."""
    return " ".join(safe(str(value)).split())


def redact(text: str) -> str:
    """``text`` without what stands in a credential's place."""
    from kaggle_digits.kaggle_api import redaction

    return redaction.redact(text)


@contextlib.contextmanager
def redacted_tracebacks() -> Iterator[None]:
    """Print what nobody caught, sieved, and exit with 1.

    A traceback repeats what packages put into their exceptions, such as the header with the token
    or the proxy's address with its password.
    """
    try:
        yield
    except Exception as error:
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
        raise SystemExit(1) from None


def note(text: str) -> None:
    """One line of news on stderr."""
    _tell(safe(redact(text)), "dim")


def warn(text: str) -> None:
    """One line of warning on stderr."""
    _tell(f"[yellow]warning:[/yellow] {safe(redact(text))}")


def error(text: str) -> None:
    """One line on stderr that says what was wrong and what to type next."""
    _tell(f"[bold red]error:[/bold red] {safe(' '.join(redact(text).split()))}")


def _tell(text: str, style: str | None = None) -> None:
    """Nobody listens, or the disk that stderr goes to is full: no reason to stop the work."""
    try:
        err.print(text, style=style)
    except OSError:
        discard(sys.stderr)


@contextlib.contextmanager
def _results() -> Iterator[None]:
    """What cannot be written to stdout is explained; a reader that has seen enough is none."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise StorageError(
            f"the result cannot be written to standard output ({error.strerror or error}); what "
            "was asked for is done: send its output elsewhere"
        ) from error


def echo(text: str) -> None:
    """One line of result on stdout."""
    with _results():
        out.print(safe(text))


def print_table(table: Table) -> None:
    """A table of results on stdout; never cut to the width of a pipe."""
    if not sys.stdout.isatty():
        out.width = 200
    with _results():
        out.print(table)


def print_json(value: Any) -> None:
    """One JSON object and nothing else on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=not supports_unicode(sys.stdout))
    # json escapes a terminal's control characters below 32 only.
    safe = "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)
    with _results():
        sys.stdout.write(f"{safe}\n")


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


def percent(accuracy: float | None, interval: tuple[float, float] | None = None) -> str:
    """An accuracy as "97.65 % (97.14–98.07)"; a dash where there is none."""
    if accuracy is None:
        return "–"
    text = f"{100 * accuracy:.2f} %"
    return text if interval is None else f"{text} ({100 * interval[0]:.2f}–{100 * interval[1]:.2f})"


def signed(value: float, form: str) -> str:
    """A change as "+3" or "−0.0004"; "0" of that many places without a sign."""
    text = format(value, f"+{form}")
    return text.replace("-", "−") if float(text) else text[1:]
