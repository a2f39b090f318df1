"""Serving the app: the port first, so that one in use is said before anything starts."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn
from threadpoolctl import threadpool_limits

from kaggle_digits.app.header_timeout import Prompt
from kaggle_digits.app.middleware import ANYWHERE
from kaggle_digits.core.errors import DigitsError

if TYPE_CHECKING:
    from fastapi import FastAPI

LAST_PORT = 65535


class AddressError(DigitsError):
    """An address at which the app cannot be served."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host`` and ``port``; port 0 takes any that is free.

    Raises:
        AddressError: the port is in use or not allowed, or this machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise AddressError(
            f"{host} is no address of this machine ({error}); try: kd app --host 127.0.0.1"
        ) from error
    # With the protocol named, asyncio sends each answer at once instead of 40 ms later.
    listening = socket.socket(family, kind, protocol)
    if os.name == "posix":  # on Windows the same word would share a port that is in use
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        # From here on a browser may come: it waits until the app is up.
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise _explained(error, host, port) from error
    return listening


def url(listening: socket.socket) -> str:
    """What to type into a browser on this machine."""
    host, port = listening.getsockname()[:2]
    host = ANYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_private(host: str) -> bool:
    """Whether only programs on this machine can reach ``host``."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def configured(app: FastAPI) -> uvicorn.Config:
    """How ``app`` is served."""
    return uvicorn.Config(
        app,
        http=Prompt,
        ws="none",
        log_level="error",  # what strangers send is no news
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def serve(app: FastAPI, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer until Ctrl-C; ``ready`` is called once the app answers."""
    ready()
    try:
        # Readings run beside each other: threads within one would only fight for processors.
        with threadpool_limits(1, "blas"):
            uvicorn.Server(configured(app)).run(sockets=[listening])
    except KeyboardInterrupt:  # the way to end it: nothing went wrong
        return
    finally:
        listening.close()


def _explained(error: OSError, host: str, port: int) -> AddressError:
    other = f"--port {port + 1 if port < LAST_PORT else port - 1}"
    if error.errno == errno.EADDRINUSE:
        return AddressError(f"port {port} is in use; take another: kd app {other}")
    if error.errno == errno.EACCES:
        return AddressError(f"port {port} is not allowed to you; try: kd app --port 8000")
    return AddressError(
        f"cannot serve at {host}, port {port}: {error.strerror}; try: kd app --host 127.0.0.1"
    )
