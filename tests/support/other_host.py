"""A server that stands for another host and records every request."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler

from tests.support.faults import FaultyHandler, QuietServer


class OtherHost:
    """The server; use as a context manager.

    Attributes:
        requests: the line, headers and body of every request, as bytes.
        url: its address.
    """

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __enter__(self) -> OtherHost:
        handler = type("Handler", (_Handler,), {"other_host": self})
        self._server = QuietServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/other"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(FaultyHandler, BaseHTTPRequestHandler):
    other_host: OtherHost

    def _answer(self) -> None:
        head = f"{self.requestline}\n{self.headers}".encode()
        self.other_host.requests.append(head + self.body())
        self.send_json(200, {})

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()
