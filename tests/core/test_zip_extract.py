from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from kaggle_digits.core.zip_extract import ArchiveError, extract, open_zip


def make_zip(path: Path, member: zipfile.ZipInfo | str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return path


def test_extracts_a_file(tmp_path: Path) -> None:
    with open_zip(make_zip(tmp_path / "a.zip", "b.txt", b"content")) as archive:
        extract(archive, archive.infolist()[0], tmp_path / "out" / "b.txt", max_size=7)
    assert (tmp_path / "out" / "b.txt").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..\\x", "C:x"])
def test_names_that_lead_outside_are_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="leads outside"):
        open_zip(make_zip(tmp_path / "a.zip", name, b"x"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_rejected(tmp_path: Path, kind: int) -> None:
    member = zipfile.ZipInfo("x")
    member.external_attr = (kind | 0o777) << 16
    with pytest.raises(ArchiveError, match="a link or device"):
        open_zip(make_zip(tmp_path / "a.zip", member, b"/etc/passwd"))


def test_too_large_a_file_leaves_nothing(tmp_path: Path) -> None:
    with open_zip(make_zip(tmp_path / "a.zip", "x", bytes(8 << 20))) as archive:
        member = archive.infolist()[0]
        for header_size in (member.file_size, 10):  # an honest header, and one that lies
            member.file_size = header_size
            with pytest.raises(ArchiveError):
                extract(archive, member, tmp_path / "out" / "x", max_size=1000)
    assert not (tmp_path / "out" / "x").exists()


def test_damaged_archive(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", "x", bytes(1000))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArchiveError, match="damaged or incomplete"):
        open_zip(path)
