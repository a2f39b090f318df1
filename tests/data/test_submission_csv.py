"""Submission files in the form that Kaggle accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.core.errors import DataError, StorageError, SubmissionError
from kaggle_digits.data.submission_csv import (
    Origin,
    read_ids,
    read_origin,
    read_submission,
    write_origin,
    write_submission,
)

IDS = np.arange(1, 6)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def test_bytes_match_the_form_of_kaggles_sample(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "run.csv"
    write_submission(path, IDS, LABELS)
    assert path.read_bytes() == b"ImageId,Label\r\n1,3\r\n2,1\r\n3,4\r\n4,1\r\n5,5\r\n"
    assert np.array_equal(read_submission(path, IDS), LABELS)


def test_ids_are_read_from_the_sample_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "sample_submission.csv"
    write_submission(path, IDS, np.zeros(5, np.uint8))
    assert np.array_equal(read_ids(path), IDS)
    write_submission(path, IDS + 1, np.zeros(5, np.uint8))
    with pytest.raises(DataError, match="line 2: ImageId is 2; expected 1"):
        read_ids(path)
    path.write_bytes(b"ImageId,Label\n\n1,0\n\n3,0\n")
    with pytest.raises(DataError, match="line 5: ImageId is 3; expected 2"):
        read_ids(path)


@pytest.mark.parametrize(
    "labels",
    [LABELS[:4], np.array([3, 1, 4, 1, 10]), np.array([3, 1, 4, 1, -1]), LABELS.astype(float)],
    ids=["too few", "above 9", "negative", "fractions"],
)
def test_invalid_labels_write_no_file(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(SubmissionError, match="nothing written"):
        write_submission(tmp_path / "run.csv", IDS, labels)
    with pytest.raises(SubmissionError, match="the ids must have an integer dtype; nothing"):
        write_submission(tmp_path / "run.csv", IDS.astype(float), LABELS)
    assert not list(tmp_path.iterdir())


def test_probabilities_instead_of_labels_are_explained(tmp_path: Path) -> None:
    probabilities = np.zeros((len(IDS), 10))
    with pytest.raises(SubmissionError, match=r"shape \(\d+, 10\); .*probabilities\.argmax"):
        write_submission(tmp_path / "run.csv", IDS, probabilities)  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [b"ImageId,Label", b'"ImageId","Label"'])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_rows_in_any_order_are_read_by_their_id(
    tmp_path: Path, header: bytes, quote: bytes
) -> None:
    path = tmp_path / "run.csv"
    rows = [b"5,5", b"1,3", b"4,1", b"3,4", b"2,1"]
    lines = [header, *(quote + row.replace(b",", quote + b"," + quote) + quote for row in rows)]
    path.write_bytes(b"\n".join(lines))
    assert np.array_equal(read_submission(path, IDS), LABELS)
    assert np.array_equal(read_submission(path, IDS[::-1]), LABELS[::-1])


SOUND = b"ImageId,Label\r\n1,3\r\n2,1\r\n3,4\r\n4,1\r\n5,5\r\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing; check its name"),
        (b"", "is empty; save it again"),
        (b"ImageId,Label\r\n", "no rows; save it again"),
        (SOUND.decode().encode("utf-16"), "UTF-16; save it again"),
        (SOUND + b"\x1a", "line 7: Ctrl-Z"),
        (SOUND[:-4], "truncated row"),
    ],
    ids=["missing", "empty", "header", "utf-16", "ctrl-z", "cut"],
)
def test_advice_fits_a_file_of_the_user(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SubmissionError, match=words) as caught:
        read_submission(path, IDS)
    assert "kd fetch" not in str(caught.value)
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(SubmissionError, match="is a folder") as caught:
        read_submission(path, IDS)
    assert "kd fetch" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ImageId,Label\r\n1,3\r\n2,1\r\n", "has 2 rows; expected 5: ImageId 3 is missing"),
        (
            b"ImageId,Label\n\n1,3\n\n2,1\n3,1\n2,4\n5,5\n",
            "line 7: ImageId 2 occurs again, first in line 5",
        ),
        (b"ImageId,Label\n1,3\n2,1\n3,1\n4,4\n0,5\n", "line 6: ImageId is 0; expected 1 to 5"),
        (b"ImageId,Label\n1,3\n2,1\n3,1\n4,4\n6,5\n", "line 6: ImageId is 6; expected 1 to 5"),
        (b"ImageId,Label\n1,3\n2,1\n3,1\n4,4\n5,5\n5,5\n", "line 7: ImageId 5 occurs again"),
        (
            b"ImageId,Label\r\n1,3\r\n2,1\r\n3,4\r\n4,1\r\n5,10\r\n",
            "'10' is not an integer from 0 to 9",
        ),
        (b"ImageId,Label\r\n1,3\r\n2,1\r\n3,4\r\n4,1\r\n5,\r\n", "a value is missing"),
        (b"ImageId,Label\r\n1,3\r\n2,1\r\n3,4.0\r\n4,1\r\n5,5\r\n", "'4.0'"),
        (b"id,label\r\n1,3\r\n", "instead of ImageId"),
        (b"", "is empty"),
    ],
)
def test_invalid_submission_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "run.csv"
    path.write_bytes(content)
    with pytest.raises(SubmissionError) as caught:
        read_submission(path, IDS)
    assert words in str(caught.value)


def test_origin_is_valid_only_for_the_bytes_it_describes(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    write_submission(path, IDS, LABELS)
    assert read_origin(path) is None
    origin = Origin(sha256(path), ["run"], "run", "kaggle", 0.9, 100, "2026-01-01T00:00:00+00:00")
    write_origin(path, origin)
    assert read_origin(path) == origin
    write_submission(path, IDS, LABELS[::-1])
    assert read_origin(path) is None
    path.with_suffix(".json").write_text("{")
    assert read_origin(path) is None


def test_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "submissions").write_text("not a folder")
    with pytest.raises(StorageError, match="in the way"):
        write_submission(tmp_path / "submissions" / "run.csv", IDS, LABELS)
