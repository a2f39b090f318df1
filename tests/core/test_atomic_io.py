from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core import atomic_io
from kaggle_digits.core.atomic_io import (
    atomic_write,
    backup_existing,
    file_lock,
    parse_json,
    read_file,
    read_json,
    sha256,
    write_json,
    write_text,
)
from kaggle_digits.core.errors import NotWritableError, RunError, StorageError
from tests.support.disks import ReadOnly, SmallDisk, read_only, small_disk
from tests.support.locks import NO_LOCKS, hold, without_locks

__all__ = ["read_only", "small_disk", "without_locks"]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_write_leaves_only_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "zwölf\r\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "zwölf\r\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]
    write_json(tmp_path / "c.json", {"a": [1, None]})
    assert json.loads((tmp_path / "c.json").read_text()) == {"a": [1, None]}


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_write(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["kept.txt"]


def test_temporary_file_has_the_suffix_of_the_file(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "array.npy") as part:
        assert part.suffix == ".npy"
        np.save(part, np.arange(3))
    assert np.load(tmp_path / "array.npy").tolist() == [0, 1, 2]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_full_disk_is_explained_and_keeps_the_old_file(small_disk: SmallDisk) -> None:
    disk = small_disk(64)
    write_text(disk / "kept.txt", "old")
    with pytest.raises(StorageError, match=r"no space left on the disk while writing .*kept\.txt"):
        write_text(disk / "kept.txt", "x" * 100_000)
    assert (disk / "kept.txt").read_text() == "old"
    assert names(disk) == ["kept.txt"]


def test_backup_replaces_no_file(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "a.csv").write_text(str(number))
        backup_existing(tmp_path / "a.csv")
    assert sorted(names(tmp_path)) == ["a-old-1.csv", "a-old-2.csv", "a-old-3.csv"]
    assert [(tmp_path / f"a-old-{k}.csv").read_text() for k in (1, 2, 3)] == ["0", "1", "2"]


def test_backup_does_not_replace_a_file_created_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("mine")
    link = os.link
    taken: list[Path] = []

    def create_first(old: Path, new: Path) -> None:
        if not taken:
            taken.append(new)
            Path(new).write_text("theirs")
        link(old, new)

    monkeypatch.setattr(os, "link", create_first)
    assert backup_existing(tmp_path / "a.csv").read_text() == "mine"
    assert (tmp_path / "a-old-1.csv").read_text() == "theirs"


def test_backup_of_a_folder(tmp_path: Path) -> None:
    for number in range(2):
        write_text(tmp_path / "run" / "config.json", str(number))
        backup_existing(tmp_path / "run")
    assert (tmp_path / "run-old-2" / "config.json").read_text() == "1"


def test_old_temporary_files_are_deleted(tmp_path: Path) -> None:
    old, fresh = (tmp_path / f".a.{k * 12}.part.json" for k in "01")
    for part in (old, fresh):
        part.write_text("{")
    os.utime(old, (1, 1))
    write_json(tmp_path / "a.json", {})
    assert sorted(names(tmp_path)) == [fresh.name, "a.json"]


@pytest.mark.skipif(os.name != "posix", reason="ulimit needs POSIX")
def test_file_size_limit_is_explained(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from kaggle_digits.core.atomic_io import write_text\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_text(Path(sys.argv[1]), 'x' * 5000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.txt")], capture_output=True, text=True
    )
    assert "StorageError" in done.stderr
    assert "ulimit -f" in done.stderr
    assert names(tmp_path) == []


def test_json_with_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"source": os.fsdecode(b"z\xfchlen.zip"), "b": "ü"})
    assert json.loads((tmp_path / "a.json").read_text())["source"] == os.fsdecode(b"z\xfchlen.zip")


def test_file_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    with (
        file_lock(path, RunError("first")),
        pytest.raises(RunError, match="second"),
        file_lock(path, RunError("second")),
    ):
        pass
    with file_lock(path, RunError("busy")):
        pass


def test_file_lock_in_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError), file_lock(tmp_path / "file" / ".lock", RunError("busy")):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[NaN]", "NaN is not a finite number"),
        ('{"a": -Infinity}', "-Infinity is not a finite number"),
        ("1e309", "1e309 is not a finite number"),
        ("1" * 5_000, "is too large"),
        ("-" + "1" * 19, "is too large"),
        ('{"a": 1, "b": {"c": 1, "c": 1}}', "the key 'c' occurs 2 times in one object"),
        ("[" * 40 + "]" * 40, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 2_000 + "1" + "}" * 2_000, "nested too deeply"),
        ("[1,", "line 1"),
        ("\xff", "utf-8"),
    ],
)
def test_json_that_other_programs_cannot_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text.encode("latin-1"))


def test_json_is_read_with_and_without_bom_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "a.json").write_bytes(start + b'{"a": [1, -0.5, 1e300, null, "\\ud800"]}')
        assert read_json(tmp_path / "a.json") == {"a": [1, -0.5, 1e300, None, "\ud800"]}
    monkeypatch.setattr("kaggle_digits.core.atomic_io.MAX_JSON_BYTES", 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_json(tmp_path / "a.json")


def test_numbers_that_json_lacks_are_written_as_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [float("nan"), 1.5], "b": (float("-inf"),)})
    assert read_json(tmp_path / "a.json") == {"a": [None, 1.5], "b": [None]}


def test_a_file_that_another_program_reads_is_replaced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where an open file cannot be replaced."""
    replace, refusals = Path.replace, [PermissionError(errno.EACCES, "in use")] * 2

    def refuse_twice(path: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse_twice)
    monkeypatch.setattr(atomic_io, "REPLACE_SECONDS", 5.0)
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    refusals.append(PermissionError(errno.EACCES, "in use"))
    monkeypatch.setattr(atomic_io, "REPLACE_SECONDS", 0.0)
    with pytest.raises(NotWritableError):
        write_text(tmp_path / "a.txt", "newer")
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("without_locks", NO_LOCKS, indirect=True)
@pytest.mark.filterwarnings("error")
def test_file_systems_without_locks_use_a_file_with_the_owner(
    tmp_path: Path, without_locks: int
) -> None:
    path = tmp_path / "run" / ".lock"
    for _ in range(2):  # also in a folder that was used before
        with file_lock(path, RunError("busy")):
            owner = path.with_name(".lock.owner")
            assert str(os.getpid()) in owner.read_text().split()
        assert not owner.exists()
    process = hold(path, without_locks)
    try:
        with (
            pytest.raises(RunError, match=r"busy .*no file locks here.*delete .*\.owner"),
            file_lock(path, RunError("busy"), timeout=0.2),
        ):
            pass
    finally:
        process.kill()
        process.communicate()
    assert owner.exists()
    with file_lock(path, RunError("busy")):
        pass


def test_process_with_locks_respects_one_without(tmp_path: Path) -> None:
    process = hold(tmp_path / ".lock", NO_LOCKS[0])
    with pytest.raises(RunError, match="busy"), file_lock(tmp_path / ".lock", RunError("busy")):
        pass
    process.kill()
    process.communicate()
    with file_lock(tmp_path / ".lock", RunError("busy")):
        pass


def test_locks_of_the_system_leave_no_other_file(tmp_path: Path) -> None:
    process = hold(tmp_path / ".lock", "")
    assert names(tmp_path) == [".lock"]
    with pytest.raises(RunError, match=r"^busy$"), file_lock(tmp_path / ".lock", RunError("busy")):
        pass
    process.kill()
    process.communicate()


def test_lock_in_a_read_only_folder_is_explained(read_only: ReadOnly, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    folder = read_only(tmp_path / "data")
    with (
        pytest.raises(NotWritableError, match="no permission to write"),
        file_lock(folder / ".lock", RunError("busy")),
    ):
        pass


def test_only_regular_files_up_to_a_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        read_file(tmp_path / "file", 4)
    with pytest.raises(ValueError, match="instead of a file"):
        read_file(tmp_path, 5)
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="instead of a file"):
            read_file(tmp_path / "pipe", 5)  # without waiting for a writer
