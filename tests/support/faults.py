"""What goes wrong in one answer, and a handler that does it."""

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
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens
NEVER = threading.Event()


class QuietServer(ThreadingHTTPServer):
    """One that waits for nobody when it ends."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that hung up is no news."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong in one call.

    Attributes:
        kind: ``status`` (a JSON error), ``html`` (a web page with that status), ``drop`` (the
            connection is reset after ``at`` bytes of the answer's body), ``lost`` (the call is
            carried out, then the connection is reset), ``reset`` (the same, not carried out),
            ``silent`` (no answer), ``truncated`` (half a JSON), ``short`` (half the bytes, as if
            whole), ``long`` (more bytes announced than sent), ``refused`` (the upload's address
            leads nowhere), ``gone`` (from now on nobody listens), ``trickle`` (one byte each
            50 ms), ``loop`` (a redirect to itself), ``elsewhere`` (a redirect with that status to
            ``to``), ``shape`` (JSON of another shape), ``no-ref`` (an answer without a ref).
        status: the HTTP status of ``status``, ``html`` and ``elsewhere``.
        message: Kaggle's words.
        headers: more headers.
        at: the byte at which ``drop`` breaks.
        to: another host's address.
        done: whether the call is carried out all the same.
    """

    kind: str
    status: int = 200
    message: str = "something of Kaggle's"
    headers: tuple[tuple[str, str], ...] = ()
    at: int = 0
    to: str = ""
    done: bool = False

    @property
    def is_carried_out(self) -> bool:
        """Whether the server does what it is asked for, and fails at the answer."""
        broken = ("lost", "trickle", "truncated", "drop", "refused", "short", "long")
        return self.done or self.kind in broken


class FaultyHandler(BaseHTTPRequestHandler):
    """Answers, and answers in every wrong way."""

    protocol_version = "HTTP/1.1"

    @property
    def closing(self) -> threading.Event:
        """Set when the server is about to end: nothing is waited for any more."""
        return NEVER

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def body(self) -> bytes:
        """What was sent."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """A whole answer."""
        self._head(status, len(body), headers)
        self.wfile.write(body)

    def send_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        """A whole answer in JSON."""
        kind = {"Content-Type": "application/json"}
        self.send(status, json.dumps(value).encode(), kind | (headers or {}))

    def fail(  # noqa: PLR0912  one branch a kind
        self,
        fault: Fault,
        content: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer with ``content`` as ``fault`` has it."""
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
            time.sleep(0.05)  # or the reset overtakes the bytes
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
