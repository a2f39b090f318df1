"""Holds on what the kaggle client does in one thread: its time-outs, its chatter, where it goes.

It offers no settings for any. Other threads and packages of the process are not touched.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

BODY_FOLLOWS = (307, 308)  # redirects that send the same body again

_here = threading.local()
_lock = threading.Lock()
_muffled: set[int] = set()


class CrossHostRedirect(Exception):  # noqa: N818  named like requests' TooManyRedirects
    """A call was answered by sending it to another host; it was not sent there."""


@contextlib.contextmanager
def time_limits(connect: float, read: float) -> Iterator[None]:
    """Requests of this thread wait ``connect`` seconds to connect and bear ``read`` of silence.

    They follow no redirect to another host either, except for a file, and then without a body:
    the client signs in by a body, and requests takes from a redirected call its header only.
    """
    with _limits((connect, read)):
        yield


@contextlib.contextmanager
def no_requests() -> Iterator[None]:
    """Requests of this thread fail at once."""
    with _limits(None):
        yield


@contextlib.contextmanager
def suppress_stdout() -> Iterator[None]:
    """What this thread prints to stdout is dropped."""
    me = threading.get_ident()
    with _lock:
        _muffled.add(me)
        if not isinstance(sys.stdout, _Stdout):
            sys.stdout = _Stdout(sys.stdout)
    try:
        yield
    finally:
        with _lock:
            _muffled.discard(me)
            if not _muffled and isinstance(sys.stdout, _Stdout):
                sys.stdout = sys.stdout.real


class _Stdout:
    """The real one, except for threads that are suppress_stdout."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def write(self, text: str) -> int:
        if threading.get_ident() in _muffled:
            return len(text)
        return int(self.real.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@contextlib.contextmanager
def _limits(limits: tuple[float, float] | None) -> Iterator[None]:
    _install()
    before = getattr(_here, "limits", ())
    _here.limits = limits
    try:
        yield
    finally:
        _here.limits = before


def _install() -> None:
    """Every adapter of requests asks for its thread's limits; without any it is as it was."""
    from requests import ConnectionError
    from requests.adapters import HTTPAdapter

    with _lock:
        send = HTTPAdapter.send
        if getattr(send, "asks_for_limits", False):
            return

        def limited(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            limits = getattr(_here, "limits", ())
            if limits is None:
                raise ConnectionError("no requests now")
            if limits:
                kwargs["timeout"] = limits
            answer = send(self, request, *args, **kwargs)
            if limits and answer.is_redirect:
                _stay(request, answer, is_file=bool(kwargs.get("stream")))
            return answer

        limited.asks_for_limits = True  # type: ignore[attr-defined]
        HTTPAdapter.send = limited  # type: ignore[method-assign]


def _stay(request: Any, answer: Any, *, is_file: bool) -> None:
    """Raise CrossHostRedirect if ``answer`` would send ``request`` to a host it may not go to."""
    try:
        to = urlsplit(urljoin(request.url, answer.headers["location"]))
        host = to.hostname or "?"
    except ValueError:
        host = "?"
    else:
        here = urlsplit(request.url)
        if (to.scheme, to.netloc.lower()) == (here.scheme, here.netloc.lower()):
            return
        if is_file and (request.body is None or answer.status_code not in BODY_FOLLOWS):
            return
    answer.close()
    raise CrossHostRedirect(host)
