"""Another host: it remembers everything that is sent to it, and answers politely."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler

from tests.support.faults import FaultyHandler, QuietServer


class OtherHost:
    """The server; use as a context manager.

    Attributes:
        heard: every request, its line, headers and body as bytes.
        url: its address.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def __enter__(self) -> OtherHost:
        handler = type("Handler", (_Handler,), {"elsewhere": self})
        self._server = QuietServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/elsewhere"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(FaultyHandler, BaseHTTPRequestHandler):
    elsewhere: OtherHost

    def _answer(self) -> None:
        head = f"{self.requestline}\n{self.headers}".encode()
        self.elsewhere.heard.append(head + self.body())
        self.send_json(200, {})

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()
