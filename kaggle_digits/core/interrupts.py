"""Ctrl-C that is not lost: packages swallow a KeyboardInterrupt, or stumble over it.

Python raises it wherever the program happens to be: in a callback of a C library, which cannot
pass it on, or between two lines of a package that is then left half done and fails with an error
of another kind.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_pressed = threading.Event()


@contextlib.contextmanager
def heeded(*, at_once: bool = True) -> Iterator[None]:
    """Remember that Ctrl-C was pressed, for ``check``; whatever fails after it ends as it does.

    Does nothing where Ctrl-C is somebody else's: in a thread, in a service that ignores it.

    Args:
        at_once: False leaves it to ``check`` to raise, so that no database is stopped half way
            through a transaction; pressed a second time, it raises at once all the same.

    Raises:
        KeyboardInterrupt: it was pressed.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not main or before not in (signal.default_int_handler, _press, _note):
        yield
        return
    signal.signal(signal.SIGINT, _press if at_once else _note)
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        if before is signal.default_int_handler:
            _pressed.clear()


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed; called between steps of what takes long."""
    if _pressed.is_set():
        raise KeyboardInterrupt


def _press(number: int, frame: FrameType | None) -> NoReturn:
    _pressed.set()
    raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    if _pressed.is_set():
        raise KeyboardInterrupt
    _pressed.set()
