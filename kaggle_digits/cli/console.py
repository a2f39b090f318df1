"""What the command line prints, and where: results on stdout, all else on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kaggle_digits.cli import unsaid

DEBUG_VARIABLE = "KD_DEBUG"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def debugging() -> bool:
    """Whether --debug was given: tracebacks shown, TensorFlow's own words let through."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def plain(text: str) -> str:
    """``text`` without markup or control characters of its own; line ends stay."""
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def cell(value: object) -> str:
    """What a file said, as it may stand in a table: on one line, without markup of its own."""
    return " ".join(plain(str(value)).split())


def note(text: str) -> None:
    """One line of news on stderr."""
    err.print(plain(unsaid.hide(text)), style="dim")


def warn(text: str) -> None:
    """One line of warning on stderr."""
    err.print(f"[yellow]warning:[/yellow] {plain(unsaid.hide(text))}")


def fail(text: str) -> None:
    """One line on stderr that says what was wrong and what to type next."""
    err.print(f"[bold red]error:[/bold red] {plain(' '.join(unsaid.hide(text).split()))}")


def say(text: str) -> None:
    """One line of result on stdout."""
    out.print(plain(text))


def show(table: Table) -> None:
    """A table of results on stdout; never cut to the width of a pipe."""
    if not sys.stdout.isatty():
        out.width = 200
    out.print(table)


def print_json(value: Any) -> None:
    """One JSON object and nothing else on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # json escapes a terminal's control characters below 32 only.
    sys.stdout.write("".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text))
    sys.stdout.write("\n")


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
