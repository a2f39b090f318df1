"""Serve the app: bind its port, then answer requests until Ctrl-C."""

import errno
import logging
import os
import socket

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from kaggle_digits.app.limits import LimitedProtocol
from kaggle_digits.app.middleware import LOOPBACK_OF_WILDCARD
from kaggle_digits.core.errors import DigitsError
from kaggle_digits.imaging.reader import ReaderPool


class AddressError(DigitsError):
    """The app cannot be served at this address."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at ``host`` and ``port``; port 0 takes any free port.

    Raises AddressError if the port is in use or not allowed, or no address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressError(
            f"{host} is not an address of this machine ({error}); try: kd app --host 127.0.0.1; "
            f"if it is the name of a proxy or forwarder: kd app --allow-host {host}"
        ) from error
    family, kind, protocol, _, address = found[0]
    # With an explicit protocol, asyncio sets TCP_NODELAY, which saves 40 ms per response.
    server_socket = socket.socket(family, kind, protocol)
    if os.name == "posix":  # on Windows SO_REUSEADDR would share a port that is in use
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server_socket.bind(address)
        # From now on a browser can connect; it waits until the app answers.
        server_socket.listen(128)
    except OSError as error:
        server_socket.close()
        problem = f"cannot serve at {host}, port {port}: {error.strerror}"
        problem += "; try: kd app --host 127.0.0.1"
        if error.errno == errno.EADDRINUSE:
            problem = f"port {port} is in use; take any free one: kd app --port 0"
        elif error.errno == errno.EACCES:
            problem = f"no permission to use port {port}; try: kd app --port 8000"
        raise AddressError(problem) from error
    return server_socket


def server_url(server_socket: socket.socket) -> str:
    """Return the URL to open in a browser on this machine."""
    host, port = server_socket.getsockname()[:2]
    return _url(LOOPBACK_OF_WILDCARD.get(host, host), port)


def network_url(server_socket: socket.socket) -> str:
    """Return the URL to open in a browser on another device of the network."""
    host, port = server_socket.getsockname()[:2]
    return _url(_network_address(host) if host in LOOPBACK_OF_WILDCARD else host, port)


def _network_address(wildcard: str) -> str:
    """Return the address of this machine in its network, or its name if it has no network."""
    family, outside = socket.AF_INET, "192.0.2.1"
    if wildcard == "::":
        family, outside = socket.AF_INET6, "2001:db8::1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 9))  # chooses the network interface and sends nothing
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can connect to ``host``."""
    return host in {"localhost", "::1"} or host.startswith("127.")


class AppServer(uvicorn.Server):
    """uvicorn's server; when it stops, requests that take long are ended without tracebacks."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app,
            http=LimitedProtocol,
            ws="none",
            log_level="error",  # malformed requests are not worth a warning
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._readers: ReaderPool = app.state.readers

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the requests in progress; uvicorn waits a second for their responses."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._readers.close()
        await super().shutdown(sockets)


def serve(app: FastAPI, server_socket: socket.socket) -> None:
    """Serve ``app`` at a socket from ``bind`` until Ctrl-C."""
    try:
        # Requests run in parallel; BLAS threads within one request would compete for processors.
        with threadpool_limits(1, "blas"):
            AppServer(app).run(sockets=[server_socket])
    except KeyboardInterrupt:  # the normal way to stop the app
        return
    finally:
        server_socket.close()
