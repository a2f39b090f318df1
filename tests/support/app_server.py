"""Serve the app in a thread, and send it raw bytes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kaggle_digits.app.api import create_app
from kaggle_digits.app.run_server import AppServer, bind, server_url

Address = tuple[str, int]


@contextmanager
def serve_app(runs_dir: Path, **settings: Any) -> Iterator[str]:
    """Yield the URL of the app while it runs; ``settings`` are those of create_app."""
    server_socket = bind("127.0.0.1", 0)
    server = AppServer(create_app(runs_dir, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [server_socket]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server_url(server_socket)
    server.should_exit = True
    thread.join()
    server_socket.close()


def send_raw(address: Address, request: bytes, timeout: float = 10) -> bytes:
    """Send these exact bytes and return everything until the server closes the connection."""
    response = b""
    with socket.create_connection(address, timeout) as connection:
        connection.sendall(request)
        while chunk := connection.recv(1 << 16):
            response += chunk
    return response


def get_raw(address: Address, path: str, host: str) -> bytes:
    """Send a GET request with this path and Host header unchanged."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return send_raw(address, request.encode("latin-1"))
