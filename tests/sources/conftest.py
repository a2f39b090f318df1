from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.competition_files import competition_files, zipped


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The path of a data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with small files of the competition's format."""
    path = tmp_path / "digit-recognizer.zip"
    path.write_bytes(zipped(competition_files()))
    return path
