"""Make standard streams usable when a shell or a service passes them closed, full or ASCII-only."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


def make_usable() -> None:
    """Open closed standard streams on /dev/null and make ASCII streams replace other characters.

    Call it once, before anything is printed. The operating system would give the number of a
    closed descriptor to the next file that is opened, and TensorFlow, whose C++ code writes to
    descriptor 2, would write into that file.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if not _is_open(descriptor):
            devnull = os.open(os.devnull, os.O_RDWR)
            if devnull != descriptor:
                os.dup2(devnull, descriptor)
                os.close(devnull)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not supports_unicode(stream):
            stream.reconfigure(errors="replace")


def supports_unicode(stream: TextIO) -> bool:
    """Return whether every character can be written to ``stream``."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def discard(stream: Any) -> None:
    """Redirect ``stream`` to /dev/null, so that flushing it at exit does not fail again."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, descriptor)
    os.close(devnull)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
