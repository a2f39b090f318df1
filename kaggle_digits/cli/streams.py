"""Standard streams as a shell, a service or a full disk may hand them over: closed, full, ASCII."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

NAMES = ("stdin", "stdout", "stderr")


def make_usable() -> None:
    """Make all three usable, whatever they are; called once, before anything is printed.

    A descriptor that is closed would be given to the next file that is opened, and TensorFlow,
    whose C++ writes to descriptor 2, would write into that file.
    """
    for number, name in enumerate(NAMES):
        if not _is_open(number):
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # In the locale C, and in many of the last century, our dashes and quotes cannot be written.
        if isinstance(stream, io.TextIOWrapper) and not supports_unicode(stream):
            stream.reconfigure(errors="replace")


def supports_unicode(stream: TextIO) -> bool:
    """Whether every character can be written to ``stream``."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def discard(stream: Any) -> None:
    """Send what is still to be written to ``stream`` nowhere, so that leaving does not fail too."""
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
