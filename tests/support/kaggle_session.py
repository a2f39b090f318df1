"""One real session, run once for all tests that need its output, and changed copies of it."""

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

from kaggle_digits.kaggle_notebooks.push import JobSpec, make_script
from tests.support.competition_files import competition_files
from tests.support.kernels import Session, run_script

RUN = "far"


def job(*, recipe: str = "linear", recipe_text: str | None = None) -> JobSpec:
    """Return the job that trains run ``far`` with two folds, without a GPU."""
    return JobSpec(
        push_id="ab12",
        run=RUN,
        recipe=recipe,
        recipe_text=recipe_text,
        options=("--folds", "2"),
        accelerator=None,
        internet=False,
        hours=1,
        slug="kd-far",
    )


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The result of the script for run ``far``; do not change it."""
    folder = tmp_path_factory.mktemp("kaggle") / "session"
    result = run_script(
        {"text": make_script(job())}, competition_files(), folder, layout="digit-recognizer"
    )
    assert result.code == 0, result.stdout
    return result


def changed(
    session: Session,
    change: Callable[[dict[str, bytes]], None] = lambda files: None,
    *,
    manifest: Callable[[dict[str, Any]], None] = lambda content: None,
    update_checksums: bool = False,
) -> Session:
    """Return ``session`` with other files in its zip.

    Args:
        session: the original.
        change: changes {name: content} in place.
        manifest: changes the manifest in place, at the end.
        update_checksums: whether the manifest describes the changed files.
    """
    with zipfile.ZipFile(io.BytesIO(session.files["kd-run.zip"])) as zipped:
        files = {name: zipped.read(name) for name in zipped.namelist()}
    change(files)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    manifest_content = json.loads(session.files["kd-manifest.json"])
    if update_checksums:
        manifest_content["files"] = {name: file_info(content) for name, content in files.items()}
        manifest_content["archive"] = {"name": "kd-run.zip", **file_info(packed.getvalue())}
    manifest(manifest_content)
    output = {
        "kd-manifest.json": json.dumps(manifest_content).encode(),
        "kd-run.zip": packed.getvalue(),
    }
    return dataclasses.replace(session, files=output)


def file_info(content: bytes) -> dict[str, Any]:
    """Return the size and SHA-256 of a file, as in the manifest."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def listing(folder: Path) -> list[str]:
    """Return the paths of all files below ``folder`` except locks."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    )
