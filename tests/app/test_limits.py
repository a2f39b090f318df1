"""Limits of requests: time for the header; size, time and total memory of uploads."""

from __future__ import annotations

import contextlib
import gc
import random
import socket
import time

import httpx
import pytest

from kaggle_digits.app import limits
from kaggle_digits.app.limits import MAX_UPLOAD_BYTES, UploadLimiter
from tests.app.test_api import CLASSIFY, assert_error
from tests.support.app_server import Address, get_raw
from tests.support.hostile_requests import animated_picture, not_pictures
from tests.support.pictures import draw_digit, encode


def classify_header(address: Address, *lines: str) -> bytes:
    """The header of a request to classify a picture."""
    host, port = address
    header = "".join(f"{line}\r\n" for line in lines)
    return f"POST {CLASSIFY} HTTP/1.1\r\nHost: {host}:{port}\r\n{header}\r\n".encode()


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
    monkeypatch.setattr(limits, "HEADER_TIMEOUT", 0.5)
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


@pytest.mark.parametrize("body", [b"", b"GIF89a", b"hello", b"<svg xmlns='x'/>"])
def test_body_that_is_not_a_picture_is_explained(client: httpx.Client, body: bytes) -> None:
    assert_error(client.post(CLASSIFY, content=body), 400, "this file")


def test_hostile_bodies_are_rejected(client: httpx.Client) -> None:
    bodies = not_pictures(random.Random(0)) + [
        animated_picture(kind) for kind in ("GIF", "WEBP", "PNG")
    ]
    for body in bodies:
        response = client.post(CLASSIFY, content=body)
        assert response.status_code == 400, body[:40]
        assert set(response.json()) == {"detail"}


def test_declared_size_is_rejected_before_the_body_is_sent(address: Address) -> None:
    with socket.create_connection(address, 5) as connection:
        connection.sendall(classify_header(address, f"Content-Length: {MAX_UPLOAD_BYTES + 1}"))
        assert b"413" in connection.recv(9999).splitlines()[0]


def test_undeclared_size_is_rejected_at_the_limit(address: Address) -> None:
    with socket.create_connection(address, 5) as connection:
        connection.sendall(classify_header(address, "Transfer-Encoding: chunked"))
        chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        for _ in range(MAX_UPLOAD_BYTES // 0x100000 + 1):
            connection.sendall(chunk)
        response = connection.recv(9999)
        while b"}" not in response:
            response += connection.recv(9999)
    assert b"413" in response.splitlines()[0]
    assert b"10 MB" in response


def test_slow_body_times_out(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPLOAD_TIMEOUT", 0.3)
    with socket.create_connection(address, 10) as connection:
        connection.sendall(classify_header(address, "Content-Length: 1000") + b"a few")
        response = connection.recv(9999)
    assert response.startswith(b"HTTP/1.1 408")


def test_client_that_disconnects_is_not_logged(
    address: Address, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(address, 10) as connection:
        connection.sendall(classify_header(address, "Content-Length: 1000") + b"a few")
    assert get_raw(address, "/healthz", "localhost").startswith(b"HTTP/1.1 200")
    time.sleep(0.1)
    assert not caplog.records
    assert "Traceback" not in capfd.readouterr().err


def test_total_of_all_uploads_is_limited(
    client: httpx.Client, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TOTAL_BYTES", 150_000)
    with socket.create_connection(address, 10) as connection:
        header = classify_header(address, "Content-Length: 1000000")
        connection.sendall(header + bytes(149_000))
        deadline = time.monotonic() + 10
        while 149_000 not in _total_bytes_of_limiters():
            assert time.monotonic() < deadline
        response = client.post(CLASSIFY, content=bytes(5000))
        assert response.headers["retry-after"] == "1"
        assert "again" in response.json()["detail"]
        connection.close()
        picture = encode(draw_digit(4))
        while client.post(CLASSIFY, content=picture).status_code != 200:
            assert time.monotonic() < deadline


def _total_bytes_of_limiters() -> list[int]:
    objects = gc.get_objects()
    return [found._total_bytes for found in objects if isinstance(found, UploadLimiter)]


def test_requests_sent_ahead_are_limited(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PIPELINED_BYTES", 100_000)
    request = b"GET /page/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address, 60) as connection, pytest.raises(ConnectionError):
        for _ in range(1000):  # 5 GB, if the server took them
            connection.sendall(request * 100_000)


def test_unread_responses_are_disconnected(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESPONSE_TIMEOUT", 0.5)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address, 60) as connection, pytest.raises(ConnectionError):
        for _ in range(1000):
            connection.sendall(request * 100_000)


def test_number_of_connections_is_limited(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 3)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(6)]
        ended = 0
        for connection in connections:
            connection.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                try:
                    ended += connection.recv(1) == b""
                except ConnectionResetError:
                    ended += 1
    assert ended >= 3
