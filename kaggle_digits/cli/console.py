"""Print results to stdout and everything else to stderr, without credentials.

A shell or a service may pass standard streams that are closed, full or ASCII-only.
"""

import codecs
import contextlib
import io
import json
import os
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.control import Control
from rich.markup import escape
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from kaggle_digits.core.advice import to_command_line
from kaggle_digits.core.atomic_io import without_nan
from kaggle_digits.core.errors import StorageError
from kaggle_digits.core.text import round_seconds
from kaggle_digits.kaggle_api.redaction import redact

DEBUG_VARIABLE, QUIET_VARIABLE = "KD_DEBUG", "KD_QUIET"
JUPYTER = ["xterm-color", "cat"]  # TERM and GIT_PAGER, as its kernels set them
COMMAND = re.compile(r"\b(kd|pip install|uv pip|uv tool|pipx inject)( [^ ,;:)(·]+)+")
# What replaces characters that the encoding of a stream lacks; "?" replaces all others.
PLAIN = {"→": "->", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "·": "|", "✓": "+"}
PLAIN |= {"✗": "x", "▀": "'", "▄": ".", "█": "#", "░": "."}
# Columns of a table: the name is never wrapped; other cells are if they are longer than 24, or if
# room is scarce, than 10.
MAX_NAME, MAX_UNWRAPPED, MAX_SHORT, GAP = 68, 24, 10, 2


class _Console(Console):
    @property
    def is_terminal(self) -> bool:
        """Whether progress may be drawn: cursor movements are obeyed and --quiet was not given.

        ``!kd`` in a notebook runs in a terminal, but its output is shown as plain text.
        """
        in_notebook = [os.environ.get(name) for name in ("TERM", "GIT_PAGER")] == JUPYTER
        return not (in_notebook or quiet()) and is_tty(self.file)

    def on_broken_pipe(self) -> None:
        """Raise, because rich would exit the process."""
        raise BrokenPipeError


def is_tty(stream: Any) -> bool:
    """Return whether ``stream`` is open and a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def quiet() -> bool:
    """Return whether --quiet was given: show neither notes nor progress."""
    return bool(os.environ.get(QUIET_VARIABLE))


out = _Console(highlight=False, soft_wrap=True, emoji=False)
err = _Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
printed = threading.Event()  # set when this command printed its first line
repeat_folders: Callable[[str], str] = str  # in commands to type; set by cli.options.Command
_sign_shown = threading.Event()  # set while the sign of work is the line of the cursor
_sign_lock = threading.Lock()


def make_streams_usable() -> None:
    """Open closed standard streams on /dev/null; replace characters that an encoding lacks.

    The next file that is opened would get the number of a closed descriptor, and the C++ code of
    TensorFlow, which writes to descriptor 2, would write into that file.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this descriptor
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    codecs.register_error("plain", _replace_character)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not supports_unicode(stream):
            stream.reconfigure(errors="plain")


def _replace_character(error: UnicodeError) -> tuple[str, int]:
    """Handle an error of encoding as ``codecs.register_error`` describes."""
    assert isinstance(error, UnicodeEncodeError)
    return PLAIN.get(error.object[error.start], "?"), error.start + 1


def supports_unicode(stream: TextIO) -> bool:
    """Return whether every character can be written to ``stream``."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def discard(stream: Any) -> None:
    """Redirect ``stream`` to /dev/null, so that flushing it at exit does not fail again."""
    unusual = contextlib.suppress(OSError, ValueError, AttributeError)  # it has no descriptor
    with unusual, Path(os.devnull).open("w") as devnull:
        os.dup2(devnull.fileno(), stream.fileno())


def debugging() -> bool:
    """Return whether --debug was given: show tracebacks and the output of TensorFlow."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def safe(text: str) -> str:
    """Return ``text`` as the command line shows it.

    The Python in a message of the library becomes options, rich markup is escaped, and control
    characters except newlines are replaced.
    """
    text = to_command_line(text)
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def cell(value: object) -> str:
    """Return ``value`` as one safe line for a table; None becomes a dash."""
    return "–" if value is None else " ".join(safe(str(value)).split())


def wrap(text: str, console: Console) -> str:
    """Return ``text`` as commands and options, broken as ``fill`` does if it goes to a terminal."""
    text = repeat_folders(to_command_line(text))
    return fill(text, console.width) if is_tty(console.file) else text


def fill(text: str, width: int) -> str:
    """Break ``text`` between words, but neither inside commands to copy nor before "%"."""
    glued = COMMAND.sub(lambda match: match[0].replace(" ", "\xa0"), text).replace(" %", "\xa0%")
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines = []
    for line in glued.split("\n"):
        wrapper.subsequent_indent = line[: len(line) - len(line.lstrip(" "))]
        lines.append(wrapper.fill(line))
    return "\n".join(lines).replace("\xa0", " ")


def confirm(question: str, *, default: bool = False) -> bool:
    """Ask a question that is answered with yes or no."""
    begin_output()  # no sign of work behind the question
    return typer.confirm(question, default=default, err=True)


def note(text: str) -> None:
    """Print a line of information to stderr, except with --quiet."""
    if not quiet():
        _print_to_stderr(text, "dim")


def sign_of_work(text: str) -> None:
    """Print ``text`` to stderr unless this command has printed something already.

    On a terminal, the next output replaces it.
    """
    with _sign_lock:
        if printed.is_set() or quiet():
            return
        with _without_full_stderr():
            err.print(f"[dim]{safe(text)}[/dim]", end="\r" if err.is_terminal else "\n")
            _sign_shown.set()


def begin_output() -> None:
    """Erase the sign of work, and let none follow."""
    with _sign_lock:
        printed.set()
        if _sign_shown.is_set():
            _sign_shown.clear()
            with _without_full_stderr():
                err.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def warn(text: str) -> None:
    """Print a warning to stderr."""
    _print_to_stderr(text, "yellow", "warning:")


def error(text: str) -> None:
    """Print an error to stderr, as one line."""
    _print_to_stderr(" ".join(redact(text).split()), "bold red", "error:")


def _print_to_stderr(text: str, style: str, label: str = "") -> None:
    """Print ``text`` after ``label``; only the label, if there is one, has the style."""
    begin_output()
    text = f"{label} {text}" if label else text
    lines = safe(wrap(redact(text), err))
    styled = label or lines
    with _without_full_stderr():
        err.print(f"[{style}]{styled}[/{style}]{lines.removeprefix(styled)}")


@contextlib.contextmanager
def _without_full_stderr() -> Iterator[None]:
    """If stderr is closed or its disk is full, continue without it."""
    try:
        yield
    except OSError:
        discard(sys.stderr)


@contextlib.contextmanager
def _writing_results() -> Iterator[None]:
    """Flush stdout after the block; explain a failure to write, except for a closed pipe."""
    begin_output()
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise StorageError(
            f"the result cannot be written to standard output ({error.strerror or error}); the "
            "command itself is done: redirect its output to another place"
        ) from error


def echo(text: str | Text) -> None:
    """Print a line of the result, or a text with styles, to stdout."""
    with _writing_results():
        out.print(text if isinstance(text, Text) else safe(wrap(text, out)))


def show_table(
    columns: Mapping[str, str], rows: Iterable[Sequence[object]], title: str | None = None
) -> None:
    """Print a table to stdout; leave out the columns that a terminal is too narrow for.

    ``columns`` are heading → format specification of its numbers, such as ",", the most important
    first. Columns with one are aligned right; with "" numbers are written in full and aligned left.
    None becomes a dash; a column of nothing but None is left out.
    """
    cells: dict[str, list[Text]] = {}
    for (heading, form), values in zip(columns.items(), zip(*rows, strict=True), strict=False):
        if any(value is not None for value in values):
            numbers = (format(v, form) if isinstance(v, int | float) else v for v in values)
            cells[heading] = [Text.from_markup(cell(value), emoji=False) for value in numbers]
    widths = {
        heading: max(map(cell_len, (*heading.split("\n"), *(text.plain for text in column))))
        for heading, column in cells.items()
    }
    left = out.width if _has_width() else sum(widths.values()) + GAP * len(widths)
    hidden: list[str] = []
    shown: dict[str, int] = {}
    for number, (heading, natural) in enumerate(widths.items()):
        needed = min(natural, MAX_UNWRAPPED if number else MAX_NAME)
        if number and left < needed:  # a long name: rather wrap than leave out
            words = " ".join([heading, *(text.plain for text in cells[heading])]).split()
            needed = min(needed, max(MAX_SHORT, *map(cell_len, words)))
        if number and left < needed:
            hidden.append(heading.replace("\n", " "))
        else:
            shown[heading] = needed
            left -= needed + GAP
    drawn = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    drawn.title, drawn.title_justify = title and cell(title), "left"
    spare = max(0, left + GAP)
    for heading, needed in shown.items():
        justify: JustifyMethod = "right" if columns[heading] else "left"
        width = min(widths[heading], needed + spare)
        drawn.add_column(heading, justify=justify, overflow="fold", width=width)
        spare -= width - needed
    drawn.width = sum(column.width or 0 for column in drawn.columns) + GAP * (len(shown) - 1)
    for row in zip(*map(cells.get, shown), strict=True):
        drawn.add_row(*row)
    with _writing_results():
        out.print(drawn)
    if hidden:
        note(f"no room for: {', '.join(hidden)}; widen the window, or see --json")


def _has_width() -> bool:
    """Return whether stdout is a window; in files and pipes, no line is too long."""
    return is_tty(sys.stdout) or "COLUMNS" in os.environ


def print_json(value: Any) -> None:
    """Print one JSON document to stdout; NaN and infinity become null, and paths their text."""
    ascii_only, value = not supports_unicode(sys.stdout), without_nan(value)
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only, default=os.fspath)
    # json escapes control characters below 32 only; terminals obey others, too.
    escaped = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    with _writing_results():
        sys.stdout.write("".join(escaped) + "\n")


def percent(accuracy: float | None, interval: Sequence[float] | None = None) -> str:
    """Format an accuracy from 0 to 1 as "97.65 % (97.14–98.07)"; None becomes a dash."""
    if accuracy is None:
        return "–"
    text = f"{100 * accuracy:.2f} %"
    return text if interval is None else f"{text} ({100 * interval[0]:.2f}–{100 * interval[1]:.2f})"


def seconds(value: float | None) -> str:
    """Format a duration as "7.5 s", "35 s" or "1,260 s"; None becomes a dash."""
    return "–" if value is None else f"{round_seconds(value)} s"


def without_leaked(score: dict[str, Any], leak: str | None) -> dict[str, Any]:
    """Return a score for JSON; if labels leaked, its accuracy moves to ``leaked_accuracy``."""
    if leak is None:
        return {**score, "leak": None}
    hidden = dict.fromkeys(("accuracy", "ci95", "log_loss"))
    return {**score, **hidden, "leaked_accuracy": score["accuracy"], "leak": leak}


def signed(value: float, form: str) -> str:
    """Format a difference as "+3" or "−0.0004"; a value that rounds to 0 has no sign."""
    text = format(value, f"+{form}")
    return text.replace("-", "−") if float(text) else text[1:]
