from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import DataError, DigitsError, KaggleError, UsageError
from kaggle_digits.data.dataset import FILES, load
from kaggle_digits.kaggle_api.retry import RetryPolicy
from kaggle_digits.sources import FetchReport, fetch
from kaggle_digits.sources import archive as archive_source
from tests.support.competition_files import competition_files
from tests.support.kaggle_server import FakeKaggle, Fault


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "digit-recognizer.zip"
    path.write_bytes(zipped(competition_files()))
    return path


class TestKaggle:
    def fetch(self, data: Path, policy: RetryPolicy, *, force: bool = False) -> FetchReport:
        return fetch("kaggle", data, force=force, policy=policy)

    def test_fetch_from_kaggle(self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
        report = self.fetch(data, policy)
        assert report.source == "kaggle"
        assert [(file.name, file.rows) for file in report.files] == [
            ("train.csv", 40),
            ("test.csv", 24),
            ("sample_submission.csv", 24),
        ]
        assert not any(file.unchanged for file in report.files)
        assert len(report.warnings) == 3  # not the bytes that Kaggle serves
        assert "train.csv is not the file Kaggle served before" in report.warnings[0]
        assert visible(data) == sorted([*FILES, "source.json"])
        assert not (data / ".fetch").exists()
        assert load(data).source.is_competition

    def test_valid_files_are_not_fetched_again(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        self.fetch(data, policy)
        kaggle.calls.clear()
        report = self.fetch(data, policy)
        assert all(file.unchanged for file in report.files)
        assert kaggle.calls == []

    @pytest.mark.parametrize("damage", ["short", "same size", "gone"])
    def test_only_the_damaged_file_is_fetched_again(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path, damage: str
    ) -> None:
        self.fetch(data, policy)
        path = data / "train.csv"
        if damage == "short":
            path.write_bytes(kaggle.files["train.csv"][:-100])
        elif damage == "same size":
            path.write_bytes(kaggle.files["train.csv"][:-3] + b"9\r\n")
        else:
            path.unlink()
        kaggle.calls.clear()
        report = self.fetch(data, policy)
        assert path.read_bytes() == kaggle.files["train.csv"]
        assert [file.unchanged for file in report.files] == [False, True, True]
        assert kaggle.count("blob") == 1

    def test_force_fetches_all(self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
        self.fetch(data, policy)
        kaggle.calls.clear()
        self.fetch(data, policy, force=True)
        assert kaggle.count("blob") == 3

    def test_file_served_as_zip(self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
        for name in ("train.csv", "test.csv"):
            kaggle.zipped[name] = zipped({name: kaggle.files[name]})
        self.fetch(data, policy)
        assert (data / "train.csv").read_bytes() == kaggle.files["train.csv"]

    def test_damaged_zip_from_kaggle(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        content = zipped({"train.csv": kaggle.files["train.csv"]})
        kaggle.zipped["train.csv"] = content[:-40] + b"\0" * 40
        with pytest.raises(KaggleError, match="cannot be unpacked"):
            self.fetch(data, policy)
        assert visible(data) == []

    def test_wrong_content_changes_nothing(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        self.fetch(data, policy)
        before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
        kaggle.files["test.csv"] = competition_files(n_test=7)["test.csv"]
        with pytest.raises(DataError, match=r"24 rows but test\.csv has 7"):
            self.fetch(data, policy, force=True)
        after = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
        assert after == before

    def test_invalid_cell_is_named(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        lines = kaggle.files["train.csv"].split(b"\r\n")
        lines[3] = b"11" + lines[3][1:]
        kaggle.files["train.csv"] = b"\r\n".join(lines)
        with pytest.raises(
            DataError, match=r"files of source kaggle.* train\.csv, line 4, column label"
        ):
            self.fetch(data, policy)
        assert visible(data) == []

    def test_fetch_resumes_at_the_file_that_failed(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        kaggle.fail("DownloadDataFile", *[Fault("status", 404)])
        with pytest.raises(KaggleError):
            self.fetch(data, policy)
        assert visible(data) == []
        assert not (data / ".fetch").exists()
        ok_then_gone = [Fault("status", 404)]
        kaggle.fail("blob", Fault("short"), *ok_then_gone)
        with pytest.raises(KaggleError):
            self.fetch(data, policy)
        kaggle.heal()
        assert self.fetch(data, policy).source == "kaggle"

    def test_missing_on_kaggle(self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
        del kaggle.files["test.csv"]
        with pytest.raises(KaggleError, match=r"lists no test\.csv"):
            self.fetch(data, policy)

    def test_concurrent_fetch_is_rejected(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        from filelock import FileLock

        data.mkdir()
        with (
            FileLock(data / ".fetch.lock"),
            pytest.raises(DataError, match="another kd fetch"),
        ):
            self.fetch(data, policy)

    def test_killed_fetch_resumes(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path
    ) -> None:
        kaggle.fail("blob", Fault("drop", at=50_000), Fault("silent"))
        code = "import sys; from kaggle_digits.sources import fetch\nfetch('kaggle', sys.argv[1])"
        process = subprocess.Popen([sys.executable, "-c", code, str(data)])
        deadline = time.monotonic() + 20
        while kaggle.count("blob") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert visible(data) == []
        kaggle.heal()
        self.fetch(data, policy)
        assert (data / "train.csv").read_bytes() == kaggle.files["train.csv"]
        assert any(call.range for call in kaggle.calls)


class TestPath:
    def test_archive(self, archive: Path, data: Path) -> None:
        report = fetch(str(archive), data)
        assert report.source == str(archive)
        assert report.warnings == (
            "these are not Kaggle's files: a run trained on them cannot be submitted",
        )
        assert not load(data).source.is_competition
        assert (data / "train.csv").read_bytes() == competition_files()["train.csv"]
        assert all(file.unchanged for file in fetch(str(archive), data).files)

    def test_archive_with_kaggles_bytes_has_source_kaggle(
        self, archive: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kaggle_digits.core.atomic_io import sha256
        from kaggle_digits.data import dataset as dataset_module

        for name, digest in [(f.name, f.sha256) for f in fetch(str(archive), data).files]:
            monkeypatch.setitem(dataset_module.KAGGLE_SHA256, name, digest)
            assert sha256(data / name) == digest
        report = fetch(str(archive), data)
        assert report.source == "kaggle"
        assert report.warnings == ()
        assert json.loads((data / "source.json").read_text())["source"] == "kaggle"

    @pytest.mark.parametrize("packing", ["plain", "gz", "zip", "nested zip", "in a folder"])
    def test_every_kind_of_compression(self, tmp_path: Path, data: Path, packing: str) -> None:
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
    def test_names_that_lead_outside_are_rejected(
        self, tmp_path: Path, data: Path, name: str
    ) -> None:
        path = tmp_path / "bad.zip"
        path.write_bytes(zipped({**competition_files(), name: b"x"}))
        with pytest.raises(DataError, match="leads outside"):
            fetch(str(path), data)
        assert visible(data) == []

    def test_links_are_rejected(self, tmp_path: Path, data: Path) -> None:
        path, link = tmp_path / "bad.zip", zipfile.ZipInfo("train.csv")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(link, "/etc/passwd")
        with pytest.raises(DataError, match="contains a link"):
            fetch(str(path), data)

    @pytest.mark.parametrize("kind", ["zip", "gz"])
    def test_zip_bombs_are_rejected(
        self, tmp_path: Path, data: Path, kind: str, monkeypatch: pytest.MonkeyPatch
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
    def test_incomplete_archive(self, archive: Path, data: Path, cut: int) -> None:
        archive.write_bytes(archive.read_bytes()[:cut])
        with pytest.raises(DataError, match="download it again"):
            fetch(str(archive), data)

    def test_damaged_archive(self, archive: Path, data: Path) -> None:
        content = bytearray(archive.read_bytes())
        content[5000] ^= 0xFF
        archive.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            fetch(str(archive), data)

    def test_incomplete_gz(self, tmp_path: Path, data: Path) -> None:
        for name, content in competition_files().items():
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content)[:-20])
        with pytest.raises(DataError, match="damaged"):
            fetch(str(tmp_path), data)

    def test_archive_without_a_file(self, tmp_path: Path, data: Path) -> None:
        path = tmp_path / "a.zip"
        path.write_bytes(zipped({"train.csv": b"x"}))
        with pytest.raises(DataError, match=r"contains no test\.csv"):
            fetch(str(path), data)

    def test_unknown_source(self, data: Path) -> None:
        with pytest.raises(UsageError, match="no file or folder"):
            fetch("kagle", data)

    def test_data_folder_itself(self, data: Path) -> None:
        data.mkdir()
        with pytest.raises(UsageError, match="data folder itself"):
            fetch(str(data), data)


class TestSample:
    def test_sample_has_the_competition_format(self, data: Path) -> None:
        report = fetch("sample", data)
        assert [file.rows for file in report.files] == [1078, 719, 719]
        assert report.warnings == ()
        dataset = load(data)
        assert dataset.source.source == "sample"
        assert not dataset.source.is_competition
        assert (data / "train.csv").read_bytes().count(b"\r\n") == 1079
        images = dataset.train.images
        assert images.max() == 255
        # Centred like MNIST's digits.
        mass = images.sum(axis=0)
        rows = np.arange(28)
        assert abs((mass.sum(axis=1) @ rows) / mass.sum() - 13.5) < 0.3
        assert (np.bincount(dataset.labels) > 80).all()
        submission = (data / "sample_submission.csv").read_bytes()
        assert submission.startswith(b"ImageId,Label\r\n1,0\r\n2,0\r\n")

    def test_sample_is_always_the_same(self, data: Path, tmp_path: Path) -> None:
        first, second = fetch("sample", data), fetch("sample", tmp_path / "again")
        assert [f.sha256 for f in first.files] == [f.sha256 for f in second.files]
        (data / "train.csv").write_text("damaged")
        assert [f.unchanged for f in fetch("sample", data).files] == [False, True, True]
        assert [f.sha256 for f in fetch("sample", data).files] == [f.sha256 for f in first.files]


class TestOtherSource:
    def test_other_source_is_replaced_only_with_force(self, archive: Path, data: Path) -> None:
        fetch(str(archive), data)
        before = (data / "train.csv").read_bytes()
        with pytest.raises(DataError, match="--force"):
            fetch("sample", data)
        assert (data / "train.csv").read_bytes() == before
        assert fetch("sample", data, force=True).source == "sample"
        with pytest.raises(DataError, match="source sample"):
            fetch(str(archive), data)

    def test_files_of_unknown_source_are_not_replaced(self, data: Path) -> None:
        data.mkdir()
        (data / "train.csv").write_text("precious")
        with pytest.raises(DataError, match="unknown source"):
            fetch("sample", data)
        assert (data / "train.csv").read_text() == "precious"

    def test_fetch_killed_between_the_moves_is_completed(self, archive: Path, data: Path) -> None:
        fetch(str(archive), data)
        record = (data / "source.json").read_text()
        shutil.rmtree(data)
        data.mkdir()
        (data / "source.json").write_text(record)
        (data / "train.csv").write_bytes(competition_files()["train.csv"])
        report = fetch(str(archive), data)
        assert [file.unchanged for file in report.files] == [True, False, False]

    def test_unwritable_data_folder(self, archive: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(DigitsError, match="in the way"):
            fetch(str(archive), tmp_path / "file" / "data")
