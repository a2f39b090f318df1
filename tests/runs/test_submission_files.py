"""Submission files and the records beside them."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import StorageError, SubmissionError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.submission_csv import read_origin
from kaggle_digits.runs.files import write_probabilities
from kaggle_digits.runs.run import TEST_FILE
from kaggle_digits.runs.submission_files import (
    find_run_origin,
    move_existing,
    next_free_path,
    write_submission_file,
)
from tests.support.disks import SmallDisk, small_disk
from tests.support.small_runs import write_run

__all__ = ["small_disk"]


@pytest.fixture(scope="module")
def dataset(sample: Path) -> Dataset:
    return load(sample)


def write(path: Path, dataset: Dataset, digit: int, **options: object) -> Path:
    labels = np.full(len(dataset.ids), digit, np.uint8)
    default = {"runs": [f"run{digit}"], "method": "run", "source": "sample"}
    options = {**default, "accuracy": None, "n_val": 0, **options}
    return write_submission_file(path, dataset, labels, **options)  # type: ignore[arg-type]


def test_origin_is_recorded_beside_the_file(dataset: Dataset, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", dataset, 3)
    origin = read_origin(path)
    assert origin is not None
    assert origin.runs == ["run3"]
    assert path.read_bytes().startswith(b"ImageId,Label\r\n1,3\r\n")


def test_eight_threads_write_eight_files(dataset: Dataset, tmp_path: Path) -> None:
    free_path = partial(next_free_path, tmp_path, "ensemble")

    def work(digit: int) -> None:
        write(free_path(), dataset, digit, resolve_path=lambda _: free_path())
        write(tmp_path / "same.csv", dataset, digit)

    threads = [threading.Thread(target=work, args=(digit,)) for digit in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    digits = {path.read_bytes()[17:18] for path in tmp_path.glob("ensemble-*.csv")}
    assert digits == {str(digit).encode() for digit in range(8)}
    for path in tmp_path.glob("*.csv"):
        origin = read_origin(path)
        assert origin is not None
        assert origin.runs == [f"run{path.read_text().splitlines()[1][2]}"]


def test_force_backs_up_file_and_record(dataset: Dataset, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", dataset, 1)
    with pytest.raises(SubmissionError, match="force=True"):
        move_existing(path, force=False)
    write(path, dataset, 2, resolve_path=partial(move_existing, force=True))
    origins = [read_origin(tmp_path / name) for name in ("a.csv", "a-old-1.csv")]
    assert [origin and origin.runs for origin in origins] == [["run2"], ["run1"]]


def test_only_the_unchanged_submission_of_the_same_run_is_replaced(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "run1.csv"
    replace_own = partial(move_existing, force=False, own="run1")
    write(path, dataset, 1, resolve_path=replace_own)
    write(path, dataset, 1, resolve_path=replace_own)
    assert [one.name for one in tmp_path.glob("*.csv")] == ["run1.csv"]
    by_hand = path.read_bytes().replace(b"\r\n2,1\r\n", b"\r\n2,7\r\n")
    for other in ("by hand", "an ensemble", "another run"):
        if other == "by hand":
            path.write_bytes(by_hand)
        else:
            runs, method = (["run1", "b"], "mean") if other == "an ensemble" else (["b"], "run")
            write(path, dataset, 2, runs=runs, method=method)
        before = path.read_bytes()
        with pytest.raises(
            SubmissionError, match=r"kd.open_run\('run1'\)\.write_submission\(path='FILE\.csv'\)"
        ):
            write(path, dataset, 1, resolve_path=replace_own)
        assert path.read_bytes() == before
    write(path, dataset, 1, resolve_path=partial(move_existing, force=True, own="run1"))
    assert (tmp_path / "run1-old-1.csv").read_bytes() == before


def test_run_is_found_by_its_predictions(dataset: Dataset, tmp_path: Path) -> None:
    oof = np.full((len(dataset.train), 10), 0.1, np.float32)
    for name, source, digit in (("a", "openml", 3), ("b", "kaggle", 3), ("c", "sample", 4)):
        run = write_run(tmp_path, dataset, oof, name=name, data={"source": source})
        test = np.full((len(dataset.test), 10), 0.05, np.float32)
        test[:, digit] = 0.55
        write_probabilities(run.path / TEST_FILE, test)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{}")
    labels = np.full(len(dataset.test), 3, np.uint8)
    found = [find_run_origin(tmp_path, labels + step) for step in range(3)]
    assert [origin and (origin.runs, origin.source) for origin in found] == [
        (["b"], "kaggle"),
        (["c"], "sample"),
        None,
    ]


def test_full_disk_leaves_the_old_file(small_disk: SmallDisk, dataset: Dataset) -> None:
    path = write(small_disk(24) / "a.csv", dataset, 1)
    old = path.read_bytes()
    (path.parent / "filler").write_bytes(b"0" * 8192)
    with pytest.raises(StorageError, match="no space left"):
        write(path, dataset, 2)
    assert path.read_bytes() == old
