"""A fake of Kaggle's notebook service: it runs pushed scripts and serves their output.

A script runs in an empty folder, with the interpreter below the virtual environment and the
packages of the environment, but without those linked into it, so that this toolkit is found only
where the script unpacks it. The session has what Kaggle gives: the competition's files and, with a
GPU, nvidia-smi.
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
    """The result of a session: output files, standard output, exit code."""

    files: dict[str, bytes]
    stdout: str
    code: int

    @property
    def log(self) -> str:
        """The log in Kaggle's format."""
        lines = self.stdout.splitlines(keepends=True)
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


def clean_python() -> tuple[str, dict[str, str]]:
    """Return an interpreter, and variables with which it finds packages but not this repository."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    packages = sysconfig.get_paths()["purelib"]
    # Other OpenBLAS kernels give other last bits.
    openblas = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": packages, "LC_ALL": "C.UTF-8"}
    return base, {**openblas, **env}


def run_script(
    request: dict[str, Any], files: dict[str, bytes], folder: Path, *, layout: str
) -> Session:
    """Run a pushed script as Kaggle does.

    Args:
        request: the request that saved it.
        files: the competition's files.
        folder: the folder to run it in.
        layout: the folder of the files below the input folder.
    """
    folders = {name: folder / name for name in ("input", "working", "home", "bin", "tmp")}
    for path in folders.values():
        path.mkdir(parents=True)
    data = folders["input"] / layout
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_bytes(content)
    script = folder / "script.py"
    script.write_text(request["text"], encoding="utf-8")
    python, env = clean_python()
    env |= {"HOME": str(folders["home"]), "TMPDIR": str(folders["tmp"]), "PIP_NO_INDEX": "1"}
    env |= {"KD_KERNEL_INPUT": str(folders["input"]), "KD_KERNEL_OUTPUT": str(folders["working"])}
    if request.get("machineShape"):
        tool = folders["bin"] / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho Tesla T4\necho Tesla T4\n")
        tool.chmod(0o755)
        env["PATH"] = f"{folders['bin']}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [python, str(script)],
        cwd=folders["working"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert not list(folders["tmp"].iterdir()), "the script left files in its temporary folder"
    output = {
        path.relative_to(folders["working"]).as_posix(): path.read_bytes()
        for path in sorted(folders["working"].rglob("*"))
        if path.is_file()
    }
    return Session(output, done.stdout, done.returncode)


def replay(session: Session) -> Runner:
    """Return a runner that gives the result of another push, as if this push had it."""

    def run(request: dict[str, Any]) -> Session:
        new_id = push_id(request["text"])
        manifest = json.loads(session.files["kd-manifest.json"])
        # Replaced by key: a digest may contain the same letters.
        old_id, manifest["push_id"] = manifest["push_id"], new_id
        files = {**session.files, "kd-manifest.json": json.dumps(manifest).encode()}
        stdout = session.stdout.replace(f'"push_id": "{old_id}"', f'"push_id": "{new_id}"')
        return Session(files, stdout, session.code)

    return run


def push_id(script: str) -> str:
    """Return the push_id in a pushed script."""
    match = re.search(r'"push_id": "([0-9a-f]+)"', script)
    assert match is not None
    return match[1]


class FakeNotebooks:
    """The part of FakeKaggle that implements KernelsApiService.

    Attributes:
        notebooks: ref -> its versions, oldest first.
        save_error: the ``error`` in the response of SaveKernel.
        failure: Kaggle's message about a failed session.
        lagging: whether the version before the newest is still shown.
        numbers: whether version numbers are told.
        keeps_failed: whether the files of a failed session can be downloaded.
        page: files per page of a listing.
        status: the state of all sessions, or None for their own.
        layout: the folder of the competition's files below the input folder.
        runner: maps the request of SaveKernel to the session.
    """

    files: dict[str, bytes]
    port: int

    def prepare(self, folder: Path) -> None:
        """Start without notebooks; sessions run below ``folder``."""
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
            except BaseException as error:  # otherwise a test would wait forever
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
        version = {"currentVersionNumber": number} if self.numbers else {}
        return {"metadata": {"ref": ref, **version}, "blob": {"slug": ref}}

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

    def output_file(self, address: str) -> bytes:
        """Return the output file at ``owner/slug/number/name``."""
        owner, slug, number, name = address.split("/", 3)
        session = self.notebooks[f"{owner}/{slug}"][int(number) - 1].session
        assert session is not None
        return session.files[name]
