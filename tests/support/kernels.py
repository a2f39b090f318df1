"""Kaggle's notebooks, fake: a pushed script is really run, in a bare folder, and its output served.

The interpreter is the one below the virtual environment, with the environment's packages on its
path but not what is linked into them, so that this toolkit is found only where the script unpacks
it. Beside it stands what Kaggle has: the competition's files and, with a GPU, an nvidia-smi.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OWNER = "someone"


@dataclass
class Session:
    """What a script left: its files, what it printed, how it ended."""

    files: dict[str, bytes]
    printed: str
    code: int

    @property
    def log(self) -> str:
        """As Kaggle keeps it."""
        lines = self.printed.splitlines(keepends=True)
        return json.dumps(
            [{"stream_name": "stdout", "time": n * 0.5, "data": one} for n, one in enumerate(lines)]
        )


@dataclass
class Version:
    """One saved version of a notebook; ``session`` is None while it runs."""

    request: dict[str, Any]
    session: Session | None = None
    done: threading.Event = field(default_factory=threading.Event)


Runner = Callable[[dict[str, Any]], Session]


def bare_python() -> tuple[str, dict[str, str]]:
    """An interpreter, and the variables with which it finds packages but not this repository."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    packages = sysconfig.get_paths()["purelib"]
    # Another choice of OpenBLAS' kernels ends at other last bits.
    arithmetic = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": packages, "LC_ALL": "C.UTF-8"}
    return base, {**arithmetic, **known}


def run_script(
    request: dict[str, Any], files: dict[str, bytes], folder: Path, *, layout: str
) -> Session:
    """Run a pushed script as Kaggle does; ``layout`` is where its input has the files."""
    places = {name: folder / name for name in ("input", "working", "home", "bin", "tmp")}
    for place in places.values():
        place.mkdir(parents=True)
    data = places["input"] / layout
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_bytes(content)
    script = folder / "script.py"
    script.write_text(request["text"], encoding="utf-8")
    python, env = bare_python()
    env |= {"HOME": str(places["home"]), "TMPDIR": str(places["tmp"]), "PIP_NO_INDEX": "1"}
    env |= {"KD_KERNEL_INPUT": str(places["input"]), "KD_KERNEL_OUTPUT": str(places["working"])}
    if request.get("machineShape"):
        tool = places["bin"] / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho Tesla T4\necho Tesla T4\n")
        tool.chmod(0o755)
        env["PATH"] = f"{places['bin']}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [python, str(script)],
        cwd=places["working"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert not list(places["tmp"].iterdir()), "the script left something in its temporary folder"
    left = {
        path.relative_to(places["working"]).as_posix(): path.read_bytes()
        for path in sorted(places["working"].rglob("*"))
        if path.is_file()
    }
    return Session(left, done.stdout, done.returncode)


def answering(session: Session) -> Runner:
    """A runner that gives what another push's script left, as if this push's had."""

    def run(request: dict[str, Any]) -> Session:
        mine = push_id(request["text"])
        told = json.loads(session.files["kd-manifest.json"])
        # By its name: a digest may hold the same few letters.
        theirs, told["push_id"] = told["push_id"], mine
        files = dict(session.files)
        files["kd-manifest.json"] = json.dumps(told).encode()
        printed = session.printed.replace(f'"push_id": "{theirs}"', f'"push_id": "{mine}"')
        return Session(files, printed, session.code)

    return run


def push_id(script: str) -> str:
    """The id that a pushed script carries."""
    found = re.search(r'"push_id": "([0-9a-f]+)"', script)
    assert found is not None
    return found[1]


class FakeNotebooks:
    """The part of FakeKaggle that answers KernelsApiService.

    Attributes:
        notebooks: ref -> its versions, oldest first.
        save_error: what SaveKernel's answer says in ``error``.
        lagging: whether the version before the newest is still shown.
        runner: takes SaveKernel's request, returns the session it led to.
        page: files a page of a listing.
        numbers: whether versions are told by number.
        keeps_failed: whether files of a session that failed can be had.
    """

    files: dict[str, bytes]
    port: int

    def prepare(self, folder: Path) -> None:
        """Sessions run below ``folder``."""
        self.notebooks: dict[str, list[Version]] = {}
        self.save_error, self.failure = "", ""
        self.lagging, self.numbers, self.keeps_failed = False, True, True
        self.page = 1
        self.status: str | None = None
        self.layout = "competitions/digit-recognizer"
        self._sessions, self._folder = 0, folder
        self.runner: Runner = self._run

    def _run(self, request: dict[str, Any]) -> Session:
        self._sessions += 1
        folder = self._folder / f"session{self._sessions}"
        return run_script(request, self.files, folder, layout=self.layout)

    def _save_kernel(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.save_error:
            return {"ref": "", "url": "", "error": self.save_error, "kernelId": 0}
        slug = re.sub(r"[^a-z0-9]+", "-", request["newTitle"].lower()).strip("-")
        ref = f"{request['slug'].split('/')[0]}/{slug}"
        version = Version(request)
        self.notebooks.setdefault(ref, []).append(version)

        def work() -> None:
            try:
                version.session = self.runner(request)
            except BaseException as error:  # a wait in a test must end
                version.session = Session({}, f"the fake failed: {error!r}\n", 1)
            version.done.set()

        threading.Thread(target=work, daemon=True).start()
        return {
            "ref": f"/code/{ref}",
            "url": f"https://www.kaggle.com/code/{ref}",
            "versionNumber": len(self.notebooks[ref]),
            "error": "",
            "kernelId": 99,
        }

    def _shown(self, request: dict[str, Any]) -> tuple[str, int, Version]:
        ref = f"{request['userName']}/{request['kernelSlug']}"
        versions = self.notebooks[ref]
        number = len(versions) - (1 if self.lagging else 0)
        return ref, number, versions[number - 1]

    def _get_kernel_session_status(self, request: dict[str, Any]) -> dict[str, Any]:
        _, _, version = self._shown(request)
        if self.status is not None:
            return {"status": self.status, "failureMessage": self.failure}
        session = version.session
        if session is None:
            return {"status": "RUNNING", "failureMessage": ""}
        status = "ERROR" if session.code else "COMPLETE"
        return {"status": status, "failureMessage": self.failure if session.code else ""}

    def _get_kernel(self, request: dict[str, Any]) -> dict[str, Any]:
        ref, number, _ = self._shown(request)
        known = {"currentVersionNumber": number} if self.numbers else {}
        return {"metadata": {"ref": ref, **known}, "blob": {"slug": ref}}

    def _list_kernel_session_output(self, request: dict[str, Any]) -> dict[str, Any]:
        ref, number, version = self._shown(request)
        session = version.session or Session({}, "", 0)
        names = list(session.files) if self.keeps_failed or not session.code else []
        first = int(request.get("pageToken") or 0)
        base = f"http://127.0.0.1:{self.port}/blob/{ref}/{number}"
        listed = [
            {"url": f"{base}/{name}?signature=1", "fileName": name}
            for name in names[first : first + self.page]
        ]
        more = first + self.page < len(names)
        return {
            "files": listed,
            "log": session.log,
            "nextPageToken": str(first + self.page) if more else "",
        }

    def left_file(self, address: str) -> bytes:
        """The file at ``owner/slug/number/name``."""
        owner, slug, number, name = address.split("/", 3)
        session = self.notebooks[f"{owner}/{slug}"][int(number) - 1].session
        assert session is not None
        return session.files[name]
