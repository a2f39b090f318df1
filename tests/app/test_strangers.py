"""The app among strangers: other names, slow senders, too much at once."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kaggle_digits.app import header_timeout, uploads
from kaggle_digits.app.middleware import SecurityMiddleware
from kaggle_digits.app.uploads import UploadLimiter
from tests.app.conftest import served
from tests.robustness.app import OTHER_NAMES, OUTSIDE, OWN_NAMES
from tests.robustness.hostile_uploads import _animated, _no_pictures
from tests.support.pictures import draw_digit, encode

CLASSIFY = "/api/classify"


@pytest.fixture(scope="module")
def at(runs_dir: Path) -> Iterator[tuple[str, int]]:
    with served(runs_dir) as address:
        host, port = address.removeprefix("http://").split(":")
        yield host, int(port)


def raw(at: tuple[str, int], sent: bytes, seconds: float = 10) -> bytes:
    """What comes back for these very bytes, until the server hangs up."""
    found = b""
    with socket.create_connection(at, seconds) as line:
        line.sendall(sent)
        while piece := line.recv(1 << 16):
            found += piece
    return found


def asked(at: tuple[str, int], path: str, host: str) -> bytes:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return raw(at, request.encode("latin-1"))


@pytest.mark.parametrize("name", OWN_NAMES)
def test_its_own_names(at: tuple[str, int], name: str) -> None:
    assert asked(at, "/api/runs", name).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names(at: tuple[str, int], name: str) -> None:
    answer = asked(at, "/api/runs", name)
    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))
    assert b"dense" not in answer


def test_a_name_is_explained(at: tuple[str, int]) -> None:
    answer = asked(at, "/", "evil.example")
    assert b"content-security-policy" in answer.lower()
    assert b"kd app --host NAME" in answer


@pytest.mark.parametrize(
    ("host", "asked_for", "fine"),
    [
        ("digits.example", "digits.example:8000", True),
        ("digits.example", "localhost", True),
        ("digits.example", "192.0.2.7", False),
        ("192.0.2.7", "192.0.2.7:8000", True),
        ("0.0.0.0", "192.0.2.7:8000", True),
        ("::", "[2001:db8::1]:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", socket.gethostname(), True),
    ],
)
def test_the_host_given(host: str, asked_for: str, *, fine: bool) -> None:
    async def nothing(*_: object) -> None:
        """Answer nothing."""

    assert SecurityMiddleware(nothing, host).is_allowed_host(asked_for) is fine


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_outside(at: tuple[str, int], path: str) -> None:
    answer = asked(at, path, "localhost")
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert not any(word in answer for word in (b"root:", b"import ", b"PATH="))


def test_what_is_no_picture_of_a_digit(at: tuple[str, int]) -> None:
    import random

    bodies = [*_no_pictures(random.Random(0)), *map(_animated, ("GIF", "WEBP", "PNG"))]
    with httpx.Client(base_url=f"http://{at[0]}:{at[1]}") as client:
        for body in bodies:
            answer = client.post(CLASSIFY, content=body)
            assert answer.status_code == 400, body[:40]
            assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHo",
    ],
)
def test_who_never_finishes_is_left(
    at: tuple[str, int], monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(header_timeout, "HEADER_TIMEOUT", 0.5)
    with socket.create_connection(at, 10) as line:
        line.sendall(head)
        began = time.monotonic()
        gone = False
        while time.monotonic() - began < 5 and not gone:
            try:
                line.send(b"a")
                line.settimeout(0.1)
                gone = line.recv(1000) == b""
            except TimeoutError:
                continue
            except OSError:
                gone = True
        assert gone
        assert time.monotonic() - began < 3


def test_a_body_that_never_ends(at: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_TIMEOUT", 0.3)
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(at, 10) as line:
        line.sendall(head.encode() + b"a few")
        answer = line.recv(9999)
    assert answer.startswith(b"HTTP/1.1 408")


def test_who_hangs_up_is_no_news(
    at: tuple[str, int], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(at, 10) as line:
        line.sendall(head.encode() + b"a few")
    assert asked(at, "/healthz", "localhost").startswith(b"HTTP/1.1 200")
    time.sleep(0.1)
    assert not caplog.records
    assert "Traceback" not in capfd.readouterr().err


def test_too_much_at_once(at: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_TOTAL_BYTES", 150_000)
    one = encode(draw_digit(4))
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    with (
        httpx.Client(base_url=f"http://{at[0]}:{at[1]}") as client,
        socket.create_connection(at, 10) as line,
    ):
        line.sendall(head.encode() + bytes(149_000))
        deadline = time.monotonic() + 10
        while 149_000 not in [
            one._total_bytes for one in gc.get_objects() if isinstance(one, UploadLimiter)
        ]:
            assert time.monotonic() < deadline
        answer = client.post(CLASSIFY, content=bytes(5000))
        assert answer.headers["retry-after"] == "1"
        assert "again" in answer.json()["detail"]
        line.close()
        while client.post(CLASSIFY, content=one).status_code != 200:
            assert time.monotonic() < deadline
