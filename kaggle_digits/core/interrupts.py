"""Handle Ctrl-C without losing it inside third-party code.

Python raises KeyboardInterrupt wherever the program happens to be. Inside a callback of a C library
it is discarded, and between two lines of a package it may cause an unrelated exception.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_interrupted = threading.Event()


@contextlib.contextmanager
def handle_sigint(*, immediate: bool = True) -> Iterator[None]:
    """Record Ctrl-C while the block runs, so that no library can swallow it.

    Ctrl-C raises KeyboardInterrupt at once if ``immediate``. Otherwise raise_if_interrupted() or a
    second Ctrl-C raises it, so that a database transaction is not aborted. An exception that leaves
    the block after Ctrl-C becomes a KeyboardInterrupt. Does nothing in a thread other than the
    main one, or if the process has its own SIGINT handler.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.getsignal(signal.SIGINT)
    if not in_main_thread or previous not in (signal.default_int_handler, _raise_now, _record):
        yield
        return
    signal.signal(signal.SIGINT, _raise_now if immediate else _record)
    try:
        yield
    except Exception:
        raise_if_interrupted()
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
        if previous is signal.default_int_handler:
            _interrupted.clear()


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed; call it between the steps of a long task."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _raise_now(number: int, frame: FrameType | None) -> NoReturn:
    _interrupted.set()
    raise KeyboardInterrupt


def _record(number: int, frame: FrameType | None) -> None:
    if _interrupted.is_set():
        raise KeyboardInterrupt
    _interrupted.set()
