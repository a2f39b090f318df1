"""A stand-in for the Hugging Face Hub, on this machine."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.faults import FaultyHandler, QuietServer

TOKEN, OWNER = "hf_planted_secret_token", "some-user"


class FakeHub:
    """The server; use as a context manager.

    Attributes:
        repos: OWNER/NAME -> file name -> bytes.
        commits: OWNER/NAME -> the file names after each commit; [0] is that of the creation.
        private: OWNER/NAME -> whether the repository is private.
        calls: every request: method and path.
        changed: whether somebody else commits after the repository was looked at.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, list[list[str]]] = {}
        self.private: dict[str, bool] = {}
        self.calls: list[str] = []
        self.changed = False

    def __enter__(self) -> FakeHub:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server: ThreadingHTTPServer = QuietServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sha(self, name: str) -> str:
        return f"{len(self.commits[name]):040x}"


class _Handler(FaultyHandler, BaseHTTPRequestHandler):
    hub: FakeHub

    def do_GET(self) -> None:
        self.hub.calls.append(f"GET {self.path}")
        name = self.path.removeprefix("/api/models/").partition("?")[0]
        if name not in self.hub.repos:
            self.send_json(404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        files = [{"rfilename": file} for file in self.hub.repos[name]]
        info = {"id": name, "_id": "1", "sha": self.hub.sha(name), "siblings": files}
        self.send_json(200, {**info, "private": self.hub.private[name], "tags": [], "downloads": 0})

    def do_POST(self) -> None:
        body = self.body()
        self.hub.calls.append(f"POST {self.path}")
        if self.path.startswith("/api/validate-yaml"):
            self.send_json(200, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send_json(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            mode = {"uploadMode": "regular", "shouldIgnore": False}
            self.send_json(200, {"files": [{"path": name, **mode} for name in names]})
        else:
            name = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            self._commit(name, [json.loads(line) for line in body.splitlines()])

    def _create(self, request: dict[str, Any]) -> None:
        owner = request.get("organization") or OWNER
        if owner != OWNER:
            self.send_json(403, {"error": "You don't have the rights to create a model"})
            return
        name = f"{owner}/{request['name']}"
        self.hub.repos[name] = {".gitattributes": b"*"}
        self.hub.commits[name] = [[".gitattributes"]]
        # Newer clients send the second one.
        is_private = request.get("private") or request.get("visibility") == "private"
        self.hub.private[name] = is_private
        self.send_json(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": "1"})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        files = self.hub.repos[name]
        parent = lines[0]["value"]["parentCommit"]
        if self.hub.changed or parent != self.hub.sha(name):
            self.send_json(412, {"error": "A commit has happened since. Please refresh"})
            return
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                files[value["path"]] = base64.b64decode(value["content"])
        self.hub.commits[name].append(sorted(files))
        oid = self.hub.sha(name)
        url = f"{self.hub.url}/{name}/commit/{oid}"
        self.send_json(200, {"success": True, "commitOid": oid, "commitUrl": url})
