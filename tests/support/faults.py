"""Faults of a server, and an HTTP handler that simulates them."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HTML = b"<!doctype html><html><head><title>Sign in to the network</title></head></html>"
DEAD = "http://127.0.0.1:9"  # the discard port, on which no server listens
NEVER = threading.Event()


class QuietServer(ThreadingHTTPServer):
    """A server that does not wait for open connections when it stops."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Ignore clients that closed the connection."""


@dataclass(frozen=True)
class Fault:
    """The failure of one call.

    Attributes:
        kind: ``status`` (a JSON error), ``html`` (a web page with that status), ``drop`` (the
            connection is reset after ``at`` bytes of the body), ``lost`` (the call is
            carried out, then the connection is reset), ``reset`` (the same, not carried out),
            ``silent`` (no response), ``truncated`` (half of the JSON), ``short`` (half of the bytes
            with a matching length), ``long`` (fewer bytes than announced), ``refused`` (the
            upload's URL refuses connections), ``gone`` (the server stops listening), ``trickle``
            (one byte every 50 ms), ``loop`` (a redirect to itself), ``elsewhere`` (a redirect with
            that status to ``to``), ``shape`` (JSON of another structure), ``no-ref`` (a response
            without a ref).
        status: the HTTP status of ``status``, ``html`` and ``elsewhere``.
        message: the message of the JSON error.
        headers: additional headers.
        at: the number of bytes that ``drop`` sends.
        to: the URL for ``elsewhere``.
        done: carry out the call in any case.
    """

    kind: str
    status: int = 200
    message: str = "a message of Kaggle"
    headers: tuple[tuple[str, str], ...] = ()
    at: int = 0
    to: str = ""
    done: bool = False

    @property
    def is_carried_out(self) -> bool:
        """Whether the server carries out the call before the response fails."""
        broken = ("lost", "trickle", "truncated", "drop", "refused", "short", "long")
        return self.done or self.kind in broken


class FaultyHandler(BaseHTTPRequestHandler):
    """An HTTP handler that can respond with every fault."""

    protocol_version = "HTTP/1.1"

    @property
    def closing(self) -> threading.Event:
        """Set when the server stops, so that no fault waits any longer."""
        return NEVER

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def body(self) -> bytes:
        """Read the request's body."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a complete response."""
        self._head(status, len(body), headers)
        self.wfile.write(body)

    def send_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        """Send a complete JSON response."""
        kind = {"Content-Type": "application/json"}
        self.send(status, json.dumps(value).encode(), kind | (headers or {}))

    def fail(  # noqa: PLR0912  one branch per kind
        self,
        fault: Fault,
        content: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Respond with ``content`` in the way that ``fault`` says."""
        headers = {"Content-Type": "application/json"} if headers is None else headers
        more = dict(fault.headers)
        half = content[: len(content) // 2]
        if fault.kind == "status":
            body = {"code": fault.status, "message": fault.message}
            self.send_json(fault.status, body, more)
        elif fault.kind == "html":
            self.send(fault.status, HTML, {"Content-Type": "text/html"} | more)
        elif fault.kind == "no-ref":
            self.send_json(200, {"message": "Could not submit", "ref": 0})
        elif fault.kind == "shape":
            self.send_json(200, [{"files": 3}, None])
        elif fault.kind == "loop":
            self.send(302, b"", {"Location": self.path})
        elif fault.kind == "elsewhere":
            self.send(fault.status, b"", {"Location": fault.to})
        elif fault.kind == "silent":
            self.closing.wait(60)
            self.close_connection = True
        elif fault.kind in ("truncated", "short"):
            self.send(status, half, headers)
        elif fault.kind == "long":
            self._head(status, len(content) + 1000, headers)
            self.wfile.write(content)
            self.close_connection = True
        elif fault.kind == "trickle":
            self._head(status, len(content), headers)
            self._trickle(content)
        elif fault.kind == "drop":
            self._head(status, len(content), headers)
            self.wfile.write(content[: fault.at])
            self.wfile.flush()
            time.sleep(0.05)  # so that the bytes arrive before the reset
            self._reset()
        else:
            if fault.kind == "gone":
                self.server.shutdown()
                self.server.server_close()
            self._reset()

    def _trickle(self, content: bytes) -> None:
        for place in range(len(content)):
            if self.closing.is_set():
                break
            self.wfile.write(content[place : place + 1])
            self.wfile.flush()
            time.sleep(0.05)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
