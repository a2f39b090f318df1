"""Output of a notebook that differs from its manifest, or is not a valid run."""

from __future__ import annotations

import json
import stat
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_notebooks.output_archive import FileInfo, Manifest, read_manifest, unpack
from tests.kaggle_notebooks.conftest import Workspace
from tests.support.kaggle_server import FakeKaggle
from tests.support.kaggle_session import RUN, changed, file_info
from tests.support.kernels import Session, replay


def set_file(name: str, content: bytes | None = None) -> Any:
    """Return a change for ``changed``: replace a file, or delete it."""

    def change(files: dict[str, bytes]) -> None:
        if content is None:
            del files[name]
        else:
            files[name] = content

    return change


def array(rows: int, columns: int = 10, dtype: type = np.float32) -> bytes:
    """Return a .npy file of equal probabilities."""
    out = BytesIO()
    np.save(out, np.full((rows, columns), 1 / columns, dtype))
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_file("oof.npy"), "oof.npy is missing"),
        (set_file("oof.npy", array(39)), "39 rows instead of 40"),
        (set_file("test.npy", array(24, dtype=np.float64)), "test.npy is damaged"),
        (set_file("test.npy", array(24, 11)), "test.npy is damaged"),
        (set_file("members/1/model.skops"), "member 1 has no model"),
        (set_file("members/1/member.json"), "1 of 2 finished members"),
        (set_file("members/0/test.npy", b"x"), ""),
        (set_file("config.json", b"{}"), "members"),
        (set_file("metrics.json", b"[]"), "metrics.json is damaged"),
        (set_file("history.csv", b"member\n"), "history.csv"),
        (set_file("../evil.py", b"x"), "leads outside"),
        (set_file("/evil.py", b"x"), "leads outside"),
        (set_file("a\\..\\evil.py", b"x"), "leads outside"),
        (set_file("members/../../evil.py", b"x"), "leads outside"),
        (set_file(".hidden", b"x"), "no file of a run"),
        (set_file("C:evil", b"x"), "leads outside"),
    ],
)
def test_invalid_run_is_rejected(
    kaggle: FakeKaggle, workspace: Workspace, session: Session, change: Any, message: str
) -> None:
    kaggle.runner = replay(changed(session, change, update_checksums=True))
    workspace.push()
    with pytest.raises(KaggleError, match=f"not valid: .*{message}"):
        workspace.pull()
    workspace.assert_nothing_pulled()


@pytest.mark.parametrize("update_archive", [False, True])
def test_archive_or_file_with_another_checksum_is_rejected(
    kaggle: FakeKaggle, workspace: Workspace, session: Session, *, update_archive: bool
) -> None:
    change = set_file("test.npy", array(24))

    def update(manifest: dict[str, Any]) -> None:
        if update_archive:
            archive = changed(session, change).files["kd-run.zip"]
            manifest["archive"] = {"name": "kd-run.zip", **file_info(archive)}

    kaggle.runner = replay(changed(session, change, manifest=update))
    workspace.push()
    with pytest.raises(KaggleError):
        workspace.pull()
    workspace.assert_nothing_pulled()


def test_links_and_zip_bombs_are_rejected(tmp_path: Path) -> None:
    def pack_and_unpack(info: zipfile.ZipInfo, content: bytes, size: int) -> None:
        path = tmp_path / "kd-run.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(info, content)
        manifest = Manifest(
            push_id="a",
            run=RUN,
            state="finished",
            reason="",
            log_tail=(),
            files={info.filename: FileInfo(size, file_info(content)["sha256"])},
            archive=FileInfo(**file_info(path.read_bytes())),
            data={},
            members=1,
            members_done=1,
            toolkit="",
            gpus=[],
            seconds=1.0,
            versions={},
        )
        unpack(path, manifest, tmp_path / "out")

    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(KaggleError, match="contains a link"):
        pack_and_unpack(link, b"/etc/passwd", 11)
    bomb = zipfile.ZipInfo("bomb.npy")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    with pytest.raises(KaggleError, match="unpacks to more than 1,000 bytes"):
        pack_and_unpack(bomb, bytes(8 << 20), 1000)
    assert not (tmp_path / "out").exists()
    with pytest.raises(KaggleError, match="more in it"):
        pack_and_unpack(bomb, b"x", 1 << 40)


@pytest.mark.parametrize(
    ("change", "key"), [({"files": []}, "files"), ({"members": "x"}, "members"), (None, "not JSON")]
)
def test_invalid_manifest_names_the_key(
    session: Session, change: dict[str, Any] | None, key: str
) -> None:
    manifest = json.loads(session.files["kd-manifest.json"])
    content = "{" if change is None else json.dumps({**manifest, **change})
    with pytest.raises(KaggleError, match=f"manifest is damaged .*{key}"):
        read_manifest(content)
