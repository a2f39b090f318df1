from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.core.errors import DataError, SubmissionError
from kaggle_digits.data.submission_csv import read_origin, write_origin
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_api.submit import default_description, submit
from kaggle_digits.kaggle_api.validate import (
    ValidatedSubmission,
    find_submission_file,
    newest_unsent,
    validate_submission,
)
from tests.support.competition_files import data_folder, submission
from tests.support.kaggle_server import FakeKaggle


def test_valid_submission(checked: ValidatedSubmission) -> None:
    assert (checked.rows, checked.run, checked.warnings) == (24, "dense-1", ())
    assert default_description(checked) == "dense-1: validation accuracy 97.65 % on 8,400 rows"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("openml", "the competition's own test images"),
        ("sample", "not the competition's data"),
        ("/somewhere/else", "byte for byte"),
        ("unknown", "source of those files is unknown"),
    ],
)
def test_run_trained_on_other_data_is_rejected(
    data: Path, submissions_dir: Path, source: str, reason: str
) -> None:
    path = submission(submissions_dir / "a.csv", source=source)
    with pytest.raises(SubmissionError, match=reason):
        validate_submission(path, data_dir=data)


def test_data_folder_of_another_source_is_rejected(tmp_path: Path, submissions_dir: Path) -> None:
    path = submission(submissions_dir / "a.csv", source=None)
    with pytest.raises(SubmissionError, match="source openml"):
        validate_submission(path, data_dir=data_folder(tmp_path / "other", source="openml"))


def test_changed_data_is_rejected(data: Path, submissions_dir: Path) -> None:
    with (data / "test.csv").open("ab") as file:
        file.write(b"\r\n")
    with pytest.raises(SubmissionError, match="source unknown"):
        validate_submission(submission(submissions_dir / "a.csv"), data_dir=data)


def test_missing_data(tmp_path: Path, submissions_dir: Path) -> None:
    with pytest.raises(DataError, match=r"`kd\.fetch\(\)`"):
        validate_submission(submission(submissions_dir / "a.csv"), data_dir=tmp_path / "nothing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ImageId,Label", b"id,label"),
        (b"\r\n24,3\r\n", b"\r\n"),
        (b"\r\n2,1\r\n", b"\r\n2,10\r\n"),
        (b"\r\n2,1\r\n", b"\r\n2,\r\n"),
        (b"\r\n2,1\r\n3,2\r\n", b"\r\n3,1\r\n3,2\r\n"),
    ],
)
def test_invalid_files_are_rejected(
    data: Path, submissions_dir: Path, old: bytes, new: bytes
) -> None:
    path = submission(submissions_dir / "a.csv", source=None)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(SubmissionError, match="not a valid submission"):
        validate_submission(path, data_dir=data)


def test_warnings_for_unknown_origin_and_a_dominant_label(
    data: Path, submissions_dir: Path
) -> None:
    path = submission(submissions_dir / "a.csv", source=None)
    path.write_bytes((data / "sample_submission.csv").read_bytes())
    first, second = validate_submission(path, data_dir=data).warnings
    assert "not known which run" in first
    assert "100 % of its rows have the label 0" in second


def test_warning_of_extra_pictures(data: Path, submissions_dir: Path) -> None:
    path = submission(submissions_dir / "a.csv")
    origin = read_origin(path)
    assert origin is not None
    write_origin(path, replace(origin, extra_rows=31))
    (warning,) = validate_submission(path, data_dir=data).warnings
    assert warning.startswith("dense-1: trained on 31 extra pictures")


@pytest.mark.parametrize("change", ["none", "order and line ends"])
@pytest.mark.parametrize("record", ["beside", "in the submissions folder", "a run"])
def test_renamed_file_is_recognised_by_its_content(
    data: Path, submissions_dir: Path, tmp_path: Path, change: str, record: str
) -> None:
    original = submission(submissions_dir / "a.csv", source="openml")
    folder = submissions_dir if record == "beside" else tmp_path
    copy = folder / "my own.csv"
    header, *rows = original.read_bytes().splitlines()
    changed = b"\n".join([header, *reversed(rows)])
    copy.write_bytes(original.read_bytes() if change == "none" else changed)
    origin = read_origin(original)
    if record == "a run":
        original.with_suffix(".json").unlink()
    find_run = (lambda _: origin) if record == "a run" else None
    with pytest.raises(SubmissionError, match=r"my own\.csv was made from .*openml"):
        validate_submission(copy, data_dir=data, submissions_dir=submissions_dir, find_run=find_run)


def test_vote_of_unknown_files_tells_nothing_about_them(data: Path, submissions_dir: Path) -> None:
    vote = submission(submissions_dir / "ensemble-1.csv", source="unknown")
    record = json.loads(vote.with_suffix(".json").read_text())
    vote.with_suffix(".json").write_text(json.dumps(record | {"runs": [], "method": "vote"}))
    mine = submission(submissions_dir / "mine.csv", source=None)
    assert validate_submission(mine, data_dir=data).origin is None


def test_origin_of_data_from_kaggle_is_preferred(data: Path, submissions_dir: Path) -> None:
    submission(submissions_dir / "a.csv", source="/an/archive")
    assert validate_submission(submission(submissions_dir / "b.csv"), data_dir=data).origin
    copy = submission(submissions_dir / "c.csv", source=None)
    origin = validate_submission(copy, data_dir=data).origin
    assert origin is not None
    assert origin.source == "kaggle"


@pytest.mark.parametrize(
    ("method", "runs", "description"),
    [
        ("run", ["a"], "a: trained on all rows, none held out"),
        ("vote", ["a", "b", "c"], "vote of a + b + c: accuracy not measured"),
        ("mean", ["a", "b"], "mean of a + b: accuracy not measured"),
    ],
)
def test_description_without_a_measured_accuracy(
    checked: ValidatedSubmission, method: str, runs: list[str], description: str
) -> None:
    assert checked.origin is not None
    origin = replace(checked.origin, method=method, runs=runs, accuracy=None, n_val=0)
    assert default_description(replace(checked, origin=origin)) == description


def test_validation_imports_neither_requests_nor_tensorflow(
    data: Path, submissions_dir: Path
) -> None:
    path = submission(submissions_dir / "a.csv")
    code = (
        "import sys; from pathlib import Path\n"
        "from kaggle_digits.kaggle_api.validate import validate_submission\n"
        "validate_submission(Path(sys.argv[1]), data_dir=sys.argv[2])\n"
        "heavy = {'tensorflow', 'keras', 'kaggle', 'requests', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(data)], check=True)


def test_newest_unsent(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    newer = submission(submissions_dir / "cnn-1.csv", first=1)
    os.utime(checked.path, (1, 1))
    (submissions_dir / "log.csv").unlink(missing_ok=True)
    assert newest_unsent(submissions_dir) == newer
    data = data_folder(submissions_dir.parent / "data")
    submit(
        validate_submission(newer, data_dir=data),
        kaggle=CompetitionClient(policy=policy),
        submissions_dir=submissions_dir,
    )
    assert newest_unsent(submissions_dir) == checked.path
    submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=submissions_dir)
    with pytest.raises(SubmissionError, match="every submission"):
        newest_unsent(submissions_dir)


def test_find_submission_file(checked: ValidatedSubmission, submissions_dir: Path) -> None:
    assert find_submission_file("dense-1", submissions_dir) == checked.path
    assert find_submission_file("dense-1.csv", submissions_dir) == checked.path
    assert find_submission_file(str(checked.path), submissions_dir) == checked.path
    with pytest.raises(SubmissionError, match="available: dense-1"):
        find_submission_file("cnn", submissions_dir)
    with pytest.raises(SubmissionError, match=r"^no file sent/cnn\.csv; available"):
        find_submission_file("sent/cnn.csv", submissions_dir)
    for name in ("", ".", "..", "../.."):
        with pytest.raises(SubmissionError):
            find_submission_file(name, submissions_dir)


def test_newest_unsent_without_files(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"`kd\.train\(dataset, 'dense'\)`"):
        newest_unsent(tmp_path)
