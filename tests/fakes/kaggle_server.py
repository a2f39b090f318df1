"""A Kaggle on the loopback that the unpatched kaggle client talks to, with faults on request.

The client is sent here by ``KAGGLE_API_ENVIRONMENT=LOCALHOST`` and ``HTTP_PROXY``: each call is
``POST http://localhost/api/v1/{service}/{Method}`` in absolute form. See ``environment``.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.fakes.kernels import FakeNotebooks

TOKEN, USERNAME, KEY = "KGAT_planted_secret_token", "someone", "planted_secret_key"
FIRST_REF = 40000001
HTML = b"<!doctype html><html><head><title>Sign in to the network</title></head></html>"
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens


@dataclass(frozen=True)
class Fault:
    """What goes wrong in one call.

    Attributes:
        kind: ``status`` (a JSON error), ``html`` (a web page with that status), ``drop`` (the
            connection is reset after ``at`` bytes of the answer's body), ``lost`` (the call is
            carried out, then the connection is reset), ``silent`` (no answer), ``truncated``
            (half a JSON), ``short`` (a whole answer, but half the bytes), ``refused`` (the
            upload's address leads nowhere), ``trickle`` (one byte each 50 ms), ``loop`` (a
            redirect to itself), ``no-ref`` (an answer without a ref).
        status: the HTTP status of ``status`` and ``html``.
        message: Kaggle's words.
        headers: more headers.
        at: the byte at which ``drop`` breaks.
    """

    kind: str
    status: int = 200
    message: str = "something of Kaggle's"
    headers: tuple[tuple[str, str], ...] = ()
    at: int = 0


@dataclass
class Submission:
    """One submission as stored."""

    ref: int
    file_name: str
    content: bytes
    description: str
    polls: int = 0


@dataclass
class Call:
    """One request as received."""

    method: str
    authorization: str | None
    range: str | None = None


@dataclass
class FakeKaggle(FakeNotebooks):
    """The server; use as a context manager.

    Attributes:
        files: name -> bytes of the competition's files.
        zipped: names served as name.zip.
        submissions: what was submitted, oldest first.
        calls: every request, in order.
        left: submissions allowed today.
        score, outcome, error: what each submission ends in.
        polls: looks at a submission before it is scored.
    """

    files: dict[str, bytes]
    zipped: dict[str, bytes] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    left: int = 10
    score: str = "0.98765"
    outcome: str = "COMPLETE"
    error: str = ""
    polls: int = 1

    def __post_init__(self) -> None:
        self._faults: dict[str, list[Fault]] = {}
        self._uploads: dict[str, tuple[str, bytes]] = {}
        self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.prepare(Path(self._scratch.name))
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def __enter__(self) -> FakeKaggle:
        handler = type("Handler", (_Handler,), {"kaggle": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Listen no more: every call is refused."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._scratch.cleanup()

    def fail(self, method: str, *faults: Fault, times: int = 1) -> None:
        """The next calls of ``method`` (an RPC, ``blob`` or ``upload``) meet these faults."""
        self._faults.setdefault(method, []).extend(faults * times)

    def heal(self) -> None:
        """No more faults."""
        self._faults.clear()

    def next_fault(self, method: str) -> Fault | None:
        with self.lock:
            waiting = self._faults.get(method)
            return waiting.pop(0) if waiting else None

    def count(self, method: str) -> int:
        """How often ``method`` was called."""
        return sum(call.method == method for call in self.calls)

    def environment(self, home: Path, *, credential: str = "key") -> dict[str, str]:
        """Variables that send the kaggle client here; ``credential``: key, token or none."""
        proxy = f"http://127.0.0.1:{self.port}"
        env = {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "HTTP_PROXY": proxy,
            "http_proxy": proxy,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "HOME": str(home),
        }
        if credential == "key":
            env |= {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}
        elif credential == "token":
            env["KAGGLE_API_TOKEN"] = TOKEN
        return env

    # What each call answers; the names are the wire's.

    def answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        return dict(getattr(self, f"_{_snake(method)}")(request))

    def _introspect_token(self, request: dict[str, Any]) -> dict[str, Any]:
        active = request.get("token") == TOKEN
        return {"active": active, "username": USERNAME if active else ""}

    def _list_data_files(self, _: dict[str, Any]) -> dict[str, Any]:
        files = [
            {"name": name, "totalBytes": len(content), "creationDate": "2019-12-11T03:03:06.693Z"}
            for name, content in self.files.items()
        ]
        return {"files": files, "nextPageToken": ""}

    def _start_submission_upload(self, request: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            token = f"tok{len(self._uploads) + 1}"
            self._uploads[token] = (request["fileName"], b"")
        return {"token": token, "createUrl": f"http://127.0.0.1:{self.port}/upload/{token}"}

    def receive(self, token: str, content: bytes) -> None:
        self._uploads[token] = (self._uploads[token][0], content)

    def _create_submission(self, request: dict[str, Any]) -> dict[str, Any]:
        name, content = self._uploads[request["blobFileTokens"]]
        with self.lock:
            ref = FIRST_REF + len(self.submissions)
            description = request.get("submissionDescription", "")
            self.submissions.append(Submission(ref, name, content, description))
        return {"message": "Successfully submitted to Digit Recognizer", "ref": ref}

    def _describe(self, one: Submission) -> dict[str, Any]:
        done = one.polls >= self.polls
        return {
            "ref": one.ref,
            "status": self.outcome if done else "PENDING",
            "publicScore": self.score if done and self.outcome == "COMPLETE" else "",
            "errorDescription": self.error if done else "",
            "description": one.description,
            "fileName": one.file_name,
            "date": "2026-11-20T10:00:00.123Z",
        }

    def _list_submissions(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"submissions": [self._describe(one) for one in reversed(self.submissions)]}

    def _get_submission(self, request: dict[str, Any]) -> dict[str, Any]:
        one = next(s for s in self.submissions if s.ref == request["ref"])
        described = self._describe(one)
        one.polls += 1
        return described

    def _get_submission_limits(self, _: dict[str, Any]) -> dict[str, Any]:
        made = len(self.submissions)
        return {"numToday": made, "numTotal": made, "numAllowedNow": self.left}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    kaggle: FakeKaggle
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        kaggle, method = self.kaggle, urlsplit(self.path).path.rsplit("/", 1)[-1]
        body = self._body()
        kaggle.calls.append(Call(method, self.headers.get("Authorization")))
        fault = kaggle.next_fault(method)
        request = json.loads(body or b"{}")
        if fault is None and not self._is_known(method):
            fault = Fault("status", 401, "Unauthenticated")
        if method == "DownloadDataFile" and fault is None:
            base = f"http://127.0.0.1:{kaggle.port}"
            name = request["fileName"]
            suffix = ".zip" if name in kaggle.zipped else ""
            self._send(302, b"", {"Location": f"{base}/blob/{name}{suffix}?signature=1"})
            return
        if fault is None:
            self._json(200, kaggle.answer(method, request))
            return
        if fault.kind in ("lost", "trickle", "truncated", "drop", "refused"):
            answer = kaggle.answer(method, request) if method != "DownloadDataFile" else {}
            if fault.kind == "refused":
                answer["createUrl"] = f"{DEAD}/upload/x"
                self._json(200, answer)
                return
            self._broken(fault, json.dumps(answer).encode(), "application/json")
            return
        self._faulty(fault)

    def do_PUT(self) -> None:
        body = self._body()
        self.kaggle.calls.append(Call("upload", self.headers.get("Authorization")))
        fault = self.kaggle.next_fault("upload")
        if fault is not None:
            self._faulty(fault)
            return
        self.kaggle.receive(urlsplit(self.path).path.rsplit("/", 1)[-1], body)
        self._send(200, b"", {})

    def do_GET(self) -> None:
        if "/blob/" not in self.path:  # the second round of ``loop``
            self._send(302, b"", {"Location": self.path})
            return
        name = unquote(urlsplit(self.path).path.rsplit("/", 1)[-1])
        wanted = self.headers.get("Range")
        self.kaggle.calls.append(Call("blob", self.headers.get("Authorization"), wanted))
        address = unquote(urlsplit(self.path).path.partition("/blob/")[2])
        if "/" in address:
            content = self.kaggle.left_file(address)
        else:
            content = self.kaggle.zipped.get(name.removesuffix(".zip"), b"")
            content = content if name.endswith(".zip") else self.kaggle.files[name]
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {
            "Last-Modified": "Wed, 11 Dec 2019 03:03:06 GMT",
            "Accept-Ranges": "bytes",
            "ETag": tag,
            "Content-Type": "application/octet-stream",
        }
        status = 200
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if match and self.headers.get("If-Range") in (None, tag):
            start = int(match[1])
            if start >= len(content):
                self._send(416, b"", headers)
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
        fault = self.kaggle.next_fault("blob")
        if fault is None:
            self._send(status, content, headers)
        elif fault.kind == "short":
            self._send(status, content[: len(content) // 2], headers)
        elif fault.kind in ("drop", "trickle"):
            self._broken(fault, content, "application/octet-stream", status, headers)
        else:
            self._faulty(fault)

    def _is_known(self, method: str) -> bool:
        given = self.headers.get("Authorization") or ""
        return (
            method == "IntrospectToken" or given == f"Bearer {TOKEN}" or given.startswith("Basic")
        )

    def _body(self) -> bytes:
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _faulty(self, fault: Fault) -> None:
        if fault.kind == "status":
            body = {"code": fault.status, "message": fault.message}
            self._send(
                fault.status,
                json.dumps(body).encode(),
                {"Content-Type": "application/json", **dict(fault.headers)},
            )
        elif fault.kind == "html":
            self._send(fault.status, HTML, {"Content-Type": "text/html", **dict(fault.headers)})
        elif fault.kind == "no-ref":
            self._json(200, {"message": "Could not submit", "ref": 0})
        elif fault.kind == "loop":
            self._send(302, b"", {"Location": self.path})
        elif fault.kind == "silent":
            self.kaggle.closing.wait(60)
            self.close_connection = True
        else:
            self._reset()

    def _broken(
        self,
        fault: Fault,
        content: bytes,
        content_type: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        if fault.kind == "lost":
            self._reset()
            return
        if fault.kind == "truncated":
            self._send(200, content[: len(content) // 2], {"Content-Type": content_type})
            return
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault.kind == "trickle":
            for place in range(len(content)):
                if self.kaggle.closing.is_set():
                    break
                self.wfile.write(content[place : place + 1])
                self.wfile.flush()
                time.sleep(0.05)
            return
        self.wfile.write(content[: fault.at])
        self.wfile.flush()
        time.sleep(0.05)  # or the reset overtakes the bytes
        self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
