"""One session at Kaggle, really run once, for all tests that need what one leaves."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.kaggle_notebooks.script import JobSpec, make_script
from tests.support.competition_files import competition_files
from tests.support.kernels import Session, run_script

RUN, RECIPE, FOLDS = "far", "linear", 2


@pytest.fixture(scope="session")
def left_there(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """What the script for run ``far`` left; not to be changed."""
    options = ("--folds", str(FOLDS))
    order = JobSpec("ab12", RUN, RECIPE, None, options, gpu=False, internet=False, hours=1)
    request = {"text": make_script(order).text}
    folder = tmp_path_factory.mktemp("kaggle") / "session"
    session = run_script(request, competition_files(), folder, layout="digit-recognizer")
    assert session.code == 0, session.printed
    return session


def changed(
    session: Session,
    change: Callable[[dict[str, bytes]], None] = lambda files: None,
    *,
    manifest: Callable[[dict[str, Any]], None] = lambda told: None,
    honest: bool = False,
) -> Session:
    """``session`` with other files in its zip.

    Args:
        session: whose.
        change: changes name → content.
        manifest: changes the manifest, at the end.
        honest: whether the manifest counts the changed files, so that only their content is odd.
    """
    with zipfile.ZipFile(io.BytesIO(session.files["kd-run.zip"])) as zipped:
        files = {name: zipped.read(name) for name in zipped.namelist()}
    change(files)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    told = json.loads(session.files["kd-manifest.json"])
    if honest:
        told["files"] = {name: facts(content) for name, content in files.items()}
        told["archive"] = {"name": "kd-run.zip", **facts(packed.getvalue())}
    manifest(told)
    left = {"kd-manifest.json": json.dumps(told).encode(), "kd-run.zip": packed.getvalue()}
    return dataclasses.replace(session, files=left)


def facts(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def listing(folder: Path) -> list[str]:
    """Everything below ``folder`` that is no lock."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    )
