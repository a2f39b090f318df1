"""A fake Kaggle server on localhost for the unpatched kagglesdk client, with faults on request.

The client is sent here by ``KAGGLE_API_ENVIRONMENT=LOCALHOST`` and ``HTTP_PROXY``: each call is
``POST http://localhost/api/v1/{service}/{Method}`` in absolute form, see ``environment``.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.faults import DEAD, Fault, FaultyHandler, QuietServer
from tests.support.kernels import FakeNotebooks
from tests.support.models import FakeModels

__all__ = ["KEY", "TOKEN", "USERNAME", "FakeKaggle", "Fault"]
TOKEN, USERNAME, KEY = "KGAT_planted_secret_token", "someone", "planted_secret_key"
REFRESH = "planted_refresh_secret"  # of a login; exchanged for TOKEN
FIRST_REF = 40000001


@dataclass
class Submission:
    """A stored submission."""

    ref: int
    file_name: str
    content: bytes
    description: str
    polls: int = 0


@dataclass
class Call:
    """A received request."""

    method: str
    authorization: str | None
    range: str | None = None
    body: bytes = b""


@dataclass
class FakeKaggle(FakeNotebooks, FakeModels):
    """The server; use as a context manager.

    Attributes:
        files: name -> bytes of the competition's files.
        zipped: names served as name.zip.
        submissions: what was submitted, oldest first.
        calls: every request, in order.
        left: number of submissions left today.
        rank: on the public leaderboard.
        score, outcome, error: the result of every submission.
        polls: number of status requests before a submission is scored.
        lists: whether ListSubmissions lists them yet.
        foreign_requests: requests for other hosts, which arrive because this is the proxy.
    """

    files: dict[str, bytes]
    zipped: dict[str, bytes] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    left: int = 10
    rank: int = 512
    score: str = "0.98765"
    outcome: str = "COMPLETE"
    error: str = ""
    polls: int = 1
    lists: bool = True
    foreign_requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults: dict[str, list[Fault]] = {}
        self._uploads: dict[str, tuple[str, bytes]] = {}
        self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.prepare(Path(self._scratch.name))
        self.start_models()
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def __enter__(self) -> FakeKaggle:
        self.listen()
        return self

    def listen(self, port: int = 0) -> None:
        """Start listening; at ``port`` again after the fault ``gone``."""
        handler = type("Handler", (_Handler,), {"kaggle": self})
        self._server = QuietServer(("127.0.0.1", port), handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, so that every connection is refused."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._scratch.cleanup()

    def fail(self, method: str, *faults: Fault, times: int = 1) -> None:
        """Let the next calls of ``method`` (an RPC, ``blob`` or ``upload``) fail."""
        self._faults.setdefault(method, []).extend(faults * times)

    def clear_faults(self) -> None:
        """Cancel all faults."""
        self._faults.clear()

    def next_fault(self, method: str) -> Fault | None:
        with self.lock:
            waiting = self._faults.get(method)
            return waiting.pop(0) if waiting else None

    def count(self, method: str) -> int:
        """Return the number of calls of ``method``."""
        return sum(call.method == method for call in self.calls)

    def environment(self, home: Path, *, credential: str = "key") -> dict[str, str]:
        """Return variables that direct the client here; ``credential``: key, token or none."""
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

    # The response to each call; the methods are named like Kaggle's.

    def answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        return dict(getattr(self, f"_{_snake(method)}")(request))

    def _introspect_token(self, request: dict[str, Any]) -> dict[str, Any]:
        active = request.get("token") == TOKEN
        return {"active": active, "username": USERNAME if active else ""}

    def _generate_access_token(self, request: dict[str, Any]) -> dict[str, Any]:
        known = request.get("refreshToken") == REFRESH
        return {"token": TOKEN, "expiresIn": 3600} if known else {"code": 401, "message": "no"}

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

    def _list_submissions(self, request: dict[str, Any]) -> dict[str, Any]:
        listed = [self._describe(one) for one in reversed(self.submissions)] if self.lists else []
        start, size = int(request.get("pageToken") or 0), request["pageSize"]
        rest = str(start + size) if len(listed) > start + size else ""
        return {"submissions": listed[start : start + size], "nextPageToken": rest}

    def _get_submission(self, request: dict[str, Any]) -> dict[str, Any]:
        one = next(s for s in self.submissions if s.ref == request["ref"])
        described = self._describe(one)
        one.polls += 1
        return described

    def _get_competition(self, request: dict[str, Any]) -> dict[str, Any]:
        entered = {"userRank": self.rank, "teamCount": 1540} if self.submissions else {}
        return {"ref": request["competitionName"], **entered}

    def _get_submission_limits(self, _: dict[str, Any]) -> dict[str, Any]:
        made = len(self.submissions)
        return {"numToday": made, "numTotal": made, "numAllowedNow": self.left}


class _Handler(FaultyHandler, BaseHTTPRequestHandler):
    kaggle: FakeKaggle

    @property
    def closing(self) -> threading.Event:
        return self.kaggle.closing

    def do_POST(self) -> None:
        if self._is_for_another_host():
            return
        kaggle, method = self.kaggle, urlsplit(self.path).path.rsplit("/", 1)[-1]
        body = self.body()
        kaggle.calls.append(Call(method, self.headers.get("Authorization"), body=body))
        fault = kaggle.next_fault(method)
        request = json.loads(body or b"{}")
        if fault is None and not self._is_known(method):
            fault = Fault("status", 401, "Unauthenticated")
        if method == "DownloadDataFile":
            base = f"http://127.0.0.1:{kaggle.port}"
            name = request["fileName"]
            suffix = ".zip" if name in kaggle.zipped else ""
            headers = {"Location": f"{base}/blob/{name}{suffix}?signature=1"}
            if fault is None:
                self.send(302, b"", headers)
            else:
                self.fail(fault, b"{}")
            return
        if fault is None:
            self.send_json(200, kaggle.answer(method, request))
            return
        answer = kaggle.answer(method, request) if fault.is_carried_out else {}
        if fault.kind == "refused":
            answer["createUrl"] = f"{DEAD}/upload/x"
            self.send_json(200, answer)
            return
        self.fail(fault, json.dumps(answer).encode())

    def do_PUT(self) -> None:
        if self._is_for_another_host():
            return
        body = self.body()
        self.kaggle.calls.append(Call("upload", self.headers.get("Authorization"), body=body))
        fault = self.kaggle.next_fault("upload")
        if fault is not None:
            self.fail(fault, b"")
            return
        self.kaggle.receive(urlsplit(self.path).path.rsplit("/", 1)[-1], body)
        self.send(200, b"", {})

    def do_GET(self) -> None:
        if self._is_for_another_host():
            return
        if "/blob/" not in self.path:  # the second round of ``loop``
            self.send(302, b"", {"Location": self.path})
            return
        name = unquote(urlsplit(self.path).path.rsplit("/", 1)[-1])
        wanted = self.headers.get("Range")
        self.kaggle.calls.append(Call("blob", self.headers.get("Authorization"), wanted))
        address = unquote(urlsplit(self.path).path.partition("/blob/")[2])
        if "/" in address:
            content = self.kaggle.output_file(address)
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
                self.send(416, b"", headers)
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
        fault = self.kaggle.next_fault("blob")
        if fault is None:
            self.send(status, content, headers)
        else:
            self.fail(fault, content, status, headers)

    def _is_for_another_host(self) -> bool:
        """Record and answer a request for another host; return whether it is one."""
        host = urlsplit(self.path).netloc
        if host in ("", "localhost", f"127.0.0.1:{self.kaggle.port}"):
            return False
        head = f"{self.requestline}\n{self.headers}".encode()
        self.kaggle.foreign_requests.append(head + self.body())
        self.send_json(200, {})
        return True

    def _is_known(self, method: str) -> bool:
        given = self.headers.get("Authorization") or ""
        return (
            method in ("IntrospectToken", "GenerateAccessToken")
            or given == f"Bearer {TOKEN}"
            or given.startswith("Basic")
        )


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
