"""Clients that send their request too slowly."""

from __future__ import annotations

import socket
import time

import pytest

from kaggle_digits.app import header_timeout
from tests.support.app_server import Address


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHo",
    ],
)
def test_incomplete_header_is_disconnected(
    address: Address, monkeypatch: pytest.MonkeyPatch, header: bytes
) -> None:
    monkeypatch.setattr(header_timeout, "HEADER_TIMEOUT", 0.5)
    with socket.create_connection(address, 10) as connection:
        connection.sendall(header)
        start = time.monotonic()
        disconnected = False
        while time.monotonic() - start < 5 and not disconnected:
            try:
                connection.send(b"a")
                connection.settimeout(0.1)
                disconnected = connection.recv(1000) == b""
            except TimeoutError:
                continue
            except OSError:
                disconnected = True
        assert disconnected
        assert time.monotonic() - start < 3
