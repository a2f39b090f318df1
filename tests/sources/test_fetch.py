from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.core.errors import DataError, DigitsError, KaggleError, StorageError, UsageError
from kaggle_digits.data.dataset import FILES, load
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.sources.fetch import FetchReport, fetch
from tests.support.competition_files import competition_files, zipped
from tests.support.disks import ReadOnly, read_only
from tests.support.kaggle_server import FakeKaggle, Fault

__all__ = ["read_only"]


def visible(folder: Path) -> list[str]:
    paths = folder.iterdir() if folder.exists() else ()
    return sorted(path.name for path in paths if not path.name.startswith("."))


def fetch_from_kaggle(data: Path, policy: RetryPolicy, *, force: bool = False) -> FetchReport:
    return fetch("kaggle", data, force=force, policy=policy)


def test_fetch_from_kaggle(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    report = fetch_from_kaggle(data, policy)
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
    kaggle: FakeKaggle, policy: RetryPolicy, data: Path
) -> None:
    fetch_from_kaggle(data, policy)
    kaggle.calls.clear()
    report = fetch_from_kaggle(data, policy)
    assert all(file.unchanged for file in report.files)
    assert kaggle.calls == []


@pytest.mark.parametrize("damage", ["short", "same size", "gone"])
def test_only_the_damaged_file_is_fetched_again(
    kaggle: FakeKaggle, policy: RetryPolicy, data: Path, damage: str
) -> None:
    # A slow machine must not cause a second attempt.
    policy = replace(policy, connect_timeout=30.0, read_timeout=30.0, call_timeout=60.0)
    fetch_from_kaggle(data, policy)
    path = data / "train.csv"
    if damage == "short":
        path.write_bytes(kaggle.files["train.csv"][:-100])
    elif damage == "same size":
        path.write_bytes(kaggle.files["train.csv"][:-3] + b"9\r\n")
    else:
        path.unlink()
    kaggle.calls.clear()
    report = fetch_from_kaggle(data, policy)
    assert path.read_bytes() == kaggle.files["train.csv"]
    assert [file.unchanged for file in report.files] == [False, True, True]
    assert kaggle.count("blob") == 1


def test_force_fetches_all(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    fetch_from_kaggle(data, policy)
    kaggle.calls.clear()
    fetch_from_kaggle(data, policy, force=True)
    assert kaggle.count("blob") == 3


def test_file_served_as_zip(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    for name in ("train.csv", "test.csv"):
        kaggle.zipped[name] = zipped({name: kaggle.files[name]})
    fetch_from_kaggle(data, policy)
    assert (data / "train.csv").read_bytes() == kaggle.files["train.csv"]


def test_damaged_zip_from_kaggle(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    content = zipped({"train.csv": kaggle.files["train.csv"]})
    kaggle.zipped["train.csv"] = content[:-40] + b"\0" * 40
    with pytest.raises(KaggleError, match="cannot be unpacked"):
        fetch_from_kaggle(data, policy)
    assert visible(data) == []


def test_wrong_content_changes_nothing(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    fetch_from_kaggle(data, policy)
    before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    kaggle.files["test.csv"] = competition_files(n_test=7)["test.csv"]
    with pytest.raises(DataError, match=r"24 rows but test\.csv has 7"):
        fetch_from_kaggle(data, policy, force=True)
    after = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    assert after == before


def test_invalid_cell_is_named(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    lines = kaggle.files["train.csv"].split(b"\r\n")
    lines[3] = b"11" + lines[3][1:]
    kaggle.files["train.csv"] = b"\r\n".join(lines)
    with pytest.raises(
        DataError, match=r"files of source kaggle.* train\.csv, line 4, column label"
    ):
        fetch_from_kaggle(data, policy)
    assert visible(data) == []


def test_fetch_resumes_at_the_file_that_failed(
    kaggle: FakeKaggle, policy: RetryPolicy, data: Path
) -> None:
    kaggle.fail("DownloadDataFile", *[Fault("status", 404)])
    with pytest.raises(KaggleError):
        fetch_from_kaggle(data, policy)
    assert visible(data) == []
    assert not (data / ".fetch").exists()
    ok_then_gone = [Fault("status", 404)]
    kaggle.fail("blob", Fault("short"), *ok_then_gone)
    with pytest.raises(KaggleError):
        fetch_from_kaggle(data, policy)
    kaggle.clear_faults()
    assert fetch_from_kaggle(data, policy).source == "kaggle"


def test_missing_on_kaggle(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    del kaggle.files["test.csv"]
    with pytest.raises(KaggleError, match=r"lists no test\.csv"):
        fetch_from_kaggle(data, policy)


def test_concurrent_fetch_is_rejected(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    from filelock import FileLock

    data.mkdir()
    with (
        FileLock(data / ".fetch.lock"),
        pytest.raises(DataError, match="another kd fetch"),
    ):
        fetch_from_kaggle(data, policy)


def test_killed_fetch_resumes(kaggle: FakeKaggle, policy: RetryPolicy, data: Path) -> None:
    kaggle.fail("blob", Fault("drop", at=50_000), Fault("silent"))
    code = "import sys; from kaggle_digits.sources.fetch import fetch\nfetch('kaggle', sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", code, str(data)])
    deadline = time.monotonic() + 20
    while kaggle.count("blob") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert visible(data) == []
    kaggle.clear_faults()
    fetch_from_kaggle(data, policy)
    assert (data / "train.csv").read_bytes() == kaggle.files["train.csv"]
    assert any(call.range for call in kaggle.calls)


def test_unknown_source(data: Path) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        fetch("kagle", data)


def test_data_folder_itself(data: Path) -> None:
    data.mkdir()
    with pytest.raises(UsageError, match="data folder itself"):
        fetch(str(data), data)


def test_archive_with_kaggles_bytes_has_source_kaggle(
    archive: Path, data: Path, monkeypatch: pytest.MonkeyPatch
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


def test_a_changed_file_is_kept(archive: Path, data: Path) -> None:
    """For example a label that the user corrected."""
    fetch(str(archive), data)
    (data / "train.csv").write_text("mine")
    report = fetch(str(archive), data)
    assert (data / "train-old-1.csv").read_text() == "mine"
    assert any("train-old-1.csv had changed" in warning for warning in report.warnings)
    fetch(str(archive), data, force=True)
    assert visible(data) == sorted([*FILES, "source.json", "train-old-1.csv"])


def test_other_source_is_replaced_only_with_force(archive: Path, data: Path) -> None:
    fetch(str(archive), data)
    before = (data / "train.csv").read_bytes()
    with pytest.raises(DataError, match="`force=True`"):
        fetch("sample", data)
    assert (data / "train.csv").read_bytes() == before
    assert fetch("sample", data, force=True).source == "sample"
    with pytest.raises(DataError, match="source sample"):
        fetch(str(archive), data)


def test_files_of_unknown_source_are_not_replaced(data: Path) -> None:
    data.mkdir()
    (data / "train.csv").write_text("precious")
    with pytest.raises(DataError, match="unknown source"):
        fetch("sample", data)
    assert (data / "train.csv").read_text() == "precious"


def test_fetch_killed_between_the_moves_is_completed(archive: Path, data: Path) -> None:
    fetch(str(archive), data)
    record = (data / "source.json").read_text()
    shutil.rmtree(data)
    data.mkdir()
    (data / "source.json").write_text(record)
    (data / "train.csv").write_bytes(competition_files()["train.csv"])
    report = fetch(str(archive), data)
    assert [file.unchanged for file in report.files] == [True, False, False]


def test_unwritable_data_folder(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DigitsError, match="in the way"):
        fetch(str(archive), tmp_path / "file" / "data")


def test_valid_files_may_be_in_a_read_only_folder(data: Path, read_only: ReadOnly) -> None:
    fetch("sample", data)
    read_only(data)
    assert all(file.unchanged for file in fetch("sample", data).files)
    with pytest.raises(StorageError, match="no permission to write"):
        fetch("sample", data, force=True)
    assert fetch(str(data), data.parent / "copy").files[0].rows == 1_078


def test_a_failed_fetch_leaves_no_empty_folder(home: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "new" / "data", tmp_path / "other"):
        with pytest.raises(KaggleError, match="no Kaggle credential"):
            fetch("kaggle", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
