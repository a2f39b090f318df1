from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import load
from kaggle_digits.sources import archive as archive_source
from kaggle_digits.sources.fetch import fetch
from tests.support.competition_files import competition_files, zipped


def visible(folder: Path) -> list[str]:
    paths = folder.iterdir() if folder.exists() else ()  # a failed fetch leaves no empty folder
    return sorted(path.name for path in paths if not path.name.startswith("."))


def test_archive(archive: Path, data: Path) -> None:
    report = fetch(str(archive), data)
    assert report.source == str(archive)
    assert report.warnings == (
        "these are not Kaggle's files: a run trained on them cannot be submitted",
    )
    assert not load(data).source.is_competition
    assert (data / "train.csv").read_bytes() == competition_files()["train.csv"]
    assert all(file.unchanged for file in fetch(str(archive), data).files)


@pytest.mark.parametrize("packing", ["plain", "gz", "zip", "nested zip", "in a folder"])
def test_every_kind_of_compression(tmp_path: Path, data: Path, packing: str) -> None:
    files, folder = competition_files(), tmp_path / "down loads ä"
    folder.mkdir()
    target = folder
    if packing == "plain":
        for name, content in files.items():
            (folder / name).write_bytes(content)
    elif packing == "gz":
        for name, content in files.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    elif packing == "zip":
        for name, content in files.items():
            (folder / f"{name}.zip").write_bytes(zipped({name: content}))
    elif packing == "nested zip":
        target = folder / "a.zip"
        inner = {f"{name}.zip": zipped({name: content}) for name, content in files.items()}
        target.write_bytes(zipped(inner))
    else:
        target = folder / "a.zip"
        target.write_bytes(zipped({f"digits/{n}": content for n, content in files.items()}))
    fetch(str(target), data)
    for name, content in files.items():
        assert (data / name).read_bytes() == content


@pytest.mark.parametrize("name", ["../train.csv", "/etc/train.csv", "a/../../x", "..\\x.csv"])
def test_names_that_lead_outside_are_rejected(tmp_path: Path, data: Path, name: str) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(zipped({**competition_files(), name: b"x"}))
    with pytest.raises(DataError, match="leads outside"):
        fetch(str(path), data)
    assert visible(data) == []


def test_links_are_rejected(tmp_path: Path, data: Path) -> None:
    path, link = tmp_path / "bad.zip", zipfile.ZipInfo("train.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="contains a link"):
        fetch(str(path), data)


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_zip_bombs_are_rejected(
    tmp_path: Path, data: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_source, "MAX_SIZE", 1 << 20)
    bomb = {**competition_files(), "train.csv": b"0" * (3 << 20)}
    path = tmp_path / "bomb.zip"
    if kind == "zip":
        path.write_bytes(zipped(bomb))
    else:
        path = tmp_path / "bomb"
        path.mkdir()
        (path / "train.csv.gz").write_bytes(gzip.compress(bomb["train.csv"]))
    with pytest.raises(DataError, match="unpacks to more than"):
        fetch(str(path), data)
    assert visible(data) == []


@pytest.mark.parametrize("cut", [10, 1000, -30])
def test_incomplete_archive(archive: Path, data: Path, cut: int) -> None:
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(DataError, match="download it again"):
        fetch(str(archive), data)


def test_damaged_archive(archive: Path, data: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[5000] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        fetch(str(archive), data)


def test_incomplete_gz(tmp_path: Path, data: Path) -> None:
    for name, content in competition_files().items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content)[:-20])
    with pytest.raises(DataError, match="damaged"):
        fetch(str(tmp_path), data)


def test_archive_without_a_file(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"train.csv": b"x"}))
    with pytest.raises(DataError, match=r"contains no test\.csv"):
        fetch(str(path), data)
