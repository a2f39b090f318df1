from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.kaggle_api.validate import ValidatedSubmission, validate_submission
from tests.support.competition_files import data_folder, submission


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of source kaggle."""
    return data_folder(tmp_path / "data")


@pytest.fixture
def submissions_dir(tmp_path: Path) -> Path:
    return tmp_path / "submissions"


@pytest.fixture
def checked(data: Path, submissions_dir: Path) -> ValidatedSubmission:
    """The valid submission dense-1.csv."""
    return validate_submission(submission(submissions_dir / "dense-1.csv"), data_dir=data)
