"""Attacks on the draw-a-digit app: hostile uploads, paths, host names, slow and many clients."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from kaggle_digits.app.limits import HEADER_TIMEOUT
from kaggle_digits.imaging.loading import MAX_PIXELS
from tests.robustness.hostile_uploads import uploads
from tests.robustness.report import Row
from tests.robustness.runners import clean
from tests.support.hostile_requests import FOREIGN_HOSTS, OWN_HOSTS, TRAVERSAL_PATHS
from tests.support.pictures import STROKES, draw_digit, encode

KD = [sys.executable, "-m", "kaggle_digits"]
CLIENTS, EACH = 200, 10
LORISES = 400
CLASSIFY = "/api/classify"
ORIGINS = ("http://evil.example", "null", "https://localhost.evil.example", "http://127.0.0.1:1")


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Start the app as a process and yield a row per kind of attack."""
    (work / "home").mkdir()
    env = clean(work / "home", PYTHONUNBUFFERED="1")
    for words in (
        ("fetch", "--source", "sample"),
        ("train", "--model", "dense", "--epochs", "3", "--name", "dense"),
    ):
        subprocess.run([*KD, *words], cwd=work, env=env, check=True, capture_output=True)
    with _app(work, env) as (process, port):
        one = encode(draw_digit(4, 168))
        assert _post(port, one)[0] == 200
        yield _addresses(process, port)
        yield from _uploads(process, port, one, random.Random(seed), quick)
        yield _paths(port)
        yield _names(port, one)
        yield _crowd(process, port, CLIENTS // 10 if quick else CLIENTS)
        yield _large_at_once(process, port, 4 if quick else 40)
        yield _wide_at_once(process, port, 2 if quick else 20)
        yield _lorises(process, port, one, LORISES // 10 if quick else LORISES)
        yield _pipelining(process, port, one)
        yield _headers(port)
        answered = _post(port, one)[0] == 200
        yield Row("app", "alive at the end", 1, int(not answered))
    said = (work / "app.err").read_text()
    yield Row("app", "tracebacks in its output", 1, said.count("Traceback"), f"{len(said)} bytes")


@contextlib.contextmanager
def _app(work: Path, env: dict[str, str]) -> Iterator[tuple[psutil.Process, int]]:
    with (work / "app.err").open("w") as errors:
        app = subprocess.Popen(
            [*KD, "app", "--port", "0"],
            cwd=work,
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert app.stdout is not None
        try:
            address = next(word for word in app.stdout.readline().split() if word[:4] == "http")
            yield psutil.Process(app.pid), int(address.rsplit(":", 1)[1])
        finally:
            app.send_signal(signal.SIGINT)
            app.wait(timeout=30)


def _post(
    port: int, body: bytes, headers: dict[str, str] | None = None, *, to: str = CLASSIFY
) -> tuple[int, bytes]:
    line = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request("POST", to, body, headers or {})
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


def _raw(port: int, sent: bytes, seconds: float = 10.0) -> bytes:
    """Send raw bytes and return the response."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), seconds) as line:
        line.sendall(sent)
        with contextlib.suppress(OSError):
            while piece := line.recv(1 << 16):
                found += piece
    return found


def _status(answer: bytes) -> int:
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _peak(process: psutil.Process) -> float:
    """Return the peak memory of the app in MB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float(process.memory_info().rss) / 2**20


def _addresses(process: psutil.Process, port: int) -> Row:
    """Check that it listens on 127.0.0.1 only."""
    listens = [c.laddr for c in process.net_connections("inet") if c.status == "LISTEN"]
    bad = sum(address.ip != "127.0.0.1" for address in listens)
    others = {
        one.address
        for found in psutil.net_if_addrs().values()
        for one in found
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    } | {"127.0.0.2"}
    for address in others:
        with socket.socket() as line:
            line.settimeout(2)
            bad += line.connect_ex((address, port)) == 0
    return Row("app", "other addresses of this machine", len(listens) + len(others), bad)


def _uploads(
    process: psutil.Process, port: int, good: bytes, rng: random.Random, quick: bool
) -> Iterator[Row]:
    for kind, bodies in uploads(rng, quick=quick).items():
        bad, slowest = 0, 0.0
        for body in bodies:
            began = time.monotonic()
            try:
                status, said = _post(port, body)
            except (OSError, HTTPException) as error:  # refused before it was sent completely
                status, said = (413, b'{"detail": ""}') if len(body) > 10**7 else (0, b"")
                print(f"{kind}: {error!r}", file=sys.stderr)
            slowest = max(slowest, time.monotonic() - began)
            sentence = said.startswith(b'{"detail":') and b"Traceback" not in said
            if not (400 <= status < 500 and sentence):
                bad += 1
                print(f"BAD upload, {kind}: {status} {said[:200]!r}", file=sys.stderr)
        bad += _post(port, good)[0] != 200
        figures = f"slowest {slowest:.2f} s, peak {_peak(process):.0f} MB"
        yield Row("app", f"uploads: {kind}", len(bodies), bad, figures)


def _paths(port: int) -> Row:
    """Check that no path reads any file other than those of the page."""
    bad = 0
    secrets = (b"root:", b"import", b"PATH=", b"def ")
    for path in TRAVERSAL_PATHS:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = _raw(port, request.encode("latin-1"))
        if not 400 <= _status(answer) < 500 or any(secret in answer for secret in secrets):
            bad += 1
            print(f"BAD path {path[:80]}: {answer[:200]!r}", file=sys.stderr)
    for run in ("../dense", "%2e%2e%2fdense", "/etc", "dense%00", "..", ".", "a" * 5000, "%0a"):
        status, said = _post(port, encode(draw_digit(1)), to=f"{CLASSIFY}?run={run}")
        if not 400 <= status < 500 or b"Traceback" in said:
            bad += 1
            print(f"BAD run {run[:80]}: {status} {said[:200]!r}", file=sys.stderr)
    return Row("app", "paths outside the page's folder", len(TRAVERSAL_PATHS) + 8, bad)


def _names(port: int, body: bytes) -> Row:
    """Check that only its own host names and origins are accepted."""
    bad = 0
    for name in (*OWN_HOSTS, *FOREIGN_HOSTS):
        request = f"GET /api/runs HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        status = _status(_raw(port, request.encode()))
        wrong = status != 200 if name in OWN_HOSTS else not 400 <= status < 500
        bad += wrong
        if wrong:
            print(f"BAD name {name!r}: {status}", file=sys.stderr)
    for origin in ORIGINS:
        bad += _post(port, body, {"Origin": origin})[0] != 403
    bad += _status(_raw(port, b"GET / HTTP/1.0\r\n\r\n")) == 200
    return Row(
        "app", "other host names and origins", len(OWN_HOSTS + FOREIGN_HOSTS + ORIGINS) + 1, bad
    )


def _crowd(process: psutil.Process, port: int, clients: int) -> Row:
    """Let many clients send drawings, each as soon as the last one is answered."""
    pictures = [encode(draw_digit(digit, 168)) for digit in STROKES]
    before = process.memory_info().rss / 2**20
    taken: list[float] = []
    failed: list[str] = []
    go = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        line = HTTPConnection("127.0.0.1", port, timeout=60)
        go.wait()
        for turn in range(EACH):
            began = time.monotonic()
            try:
                line.request("POST", CLASSIFY, pictures[(number + turn) % len(pictures)])
                answer = line.getresponse()
                answer.read()
                if answer.status != 200:
                    failed.append(str(answer.status))
            except (OSError, HTTPException) as error:
                failed.append(repr(error))
                line.close()
            taken.append(time.monotonic() - began)
        line.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    go.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    for error in set(failed):
        print(f"BAD crowd: {error}", file=sys.stderr)
    p50, p99 = np.percentile(taken, [50, 99]) * 1e3
    grown = process.memory_info().rss / 2**20 - before
    figures = (
        f"{len(taken) / seconds:.0f} per second, p50 {p50:.0f} ms, p99 {p99:.0f} ms; "
        f"grew by {grown:.0f} MB, peak {_peak(process):.0f} MB"
    )
    return Row("app", f"{clients} clients at the same time", len(taken), len(failed), figures)


def _large_at_once(process: psutil.Process, port: int, clients: int) -> Row:
    """Send bodies of nearly 10 MB from many clients: each is read, or told to retry."""
    body = os.urandom(9_900_000)
    with ThreadPoolExecutor(clients) as pool:

        def send(_: int) -> int:
            try:
                return _post(port, body)[0]
            except (OSError, HTTPException):
                return 503  # refused before it was sent completely

        found = list(pool.map(send, range(clients)))
    bad = sum(status not in (400, 503) for status in found)
    peak = _peak(process)
    figures = f"{found.count(503)} told to retry, peak {peak:.0f} MB"
    return Row("app", f"{clients} uploads of 9.9 MB at the same time", clients, bad, figures)


def _wide_at_once(process: psutil.Process, port: int, clients: int) -> Row:
    """Send valid pictures of the largest permitted size, compressed to few bytes."""
    side = int(MAX_PIXELS**0.5)
    body = encode(Image.new("RGBA", (side, side), (255, 255, 255, 255)))
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda _: _post(port, body)[0], range(clients)))
    bad = sum(status != 200 for status in found)
    figures = f"of {side} × {side} pixels in {len(body) / 1e6:.1f} MB; peak {_peak(process):.0f} MB"
    return Row("app", f"{clients} of the largest pictures at the same time", clients, bad, figures)


def _lorises(process: psutil.Process, port: int, body: bytes, count: int) -> Row:
    """Check that clients sending one byte per second are disconnected and do not slow others."""
    heads = (
        f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
        "",
    )
    lines = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]
    for number, line in enumerate(lines):
        line.sendall(heads[number % len(heads)].encode())
    began, taken, bad = time.monotonic(), [], 0
    while time.monotonic() - began < 5:
        for line in lines:
            with contextlib.suppress(OSError):
                line.send(b"a")
        asked = time.monotonic()
        bad += _post(port, body)[0] != 200
        taken.append(time.monotonic() - asked)
        time.sleep(0.2)
    bad += max(taken) > 2
    time.sleep(max(0.0, began + HEADER_TIMEOUT + 3 - time.monotonic()))
    # Clients with an endless header are disconnected; those with a body have half a minute.
    left = [c for c in process.net_connections("tcp") if c.status == "ESTABLISHED"]
    bad += len(left) > count // 2
    for line in lines:
        line.close()
    slowest = f"slowest response to others {1e3 * max(taken):.0f} ms"
    figures = f"{slowest}; {len(left)} still connected after {HEADER_TIMEOUT + 3:.0f} s"
    return Row("app", f"{count} slow-loris clients", count, bad, figures)


def _pipelining(process: psutil.Process, port: int, body: bytes) -> Row:
    """Send requests for five seconds without reading any response: memory stays limited."""
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    pages = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in ("/", "/page/app.js")]
    requests = [head.encode() + body, *(page.encode() for page in pages)]
    before = peak = process.memory_info().rss / 2**20
    lines = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(6)]
    began = time.monotonic()
    while time.monotonic() - began < 5:
        for number, line in enumerate(lines):
            line.settimeout(0.01)
            with contextlib.suppress(OSError):
                line.send(requests[number % 3] * 1000)
        peak = max(peak, process.memory_info().rss / 2**20)
    for line in lines:
        line.close()
    grown = peak - before
    return Row("app", "6 clients that never read", 6, int(grown > 100), f"grew by {grown:.0f} MB")


def _headers(port: int) -> Row:
    """Send malformed headers: no response is an error of the server."""
    names = (
        "Host",
        "Origin",
        "Referer",
        "Range",
        "If-Modified-Since",
        "If-Range",
        "Content-Length",
    )
    values = ("", "[", "http://[::1", "\xff\xb2", "bytes=-" + "9" * 5000, "9" * 5000, "-1", "1, 2")
    bad = 0
    for name in names:
        for value in values:
            for first in ("GET /page/app.js", f"POST {CLASSIFY}"):
                host = "" if name == "Host" else "Host: localhost\r\n"
                request = f"{first} HTTP/1.1\r\n{host}{name}: {value}\r\nConnection: close\r\n\r\n"
                status = _status(_raw(port, request.encode("latin-1")))
                if not 200 <= status < 500:
                    bad += 1
                    print(f"BAD header {name}: {value[:40]!r}: {status}", file=sys.stderr)
    return Row("app", "malformed headers", len(names) * len(values) * 2, bad)
