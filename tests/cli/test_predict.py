"""kd predict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import QUICK, kd


@pytest.mark.usefixtures("work")
def test_predictions_are_written_again() -> None:
    assert kd("train", *QUICK, "--name", "one").exit_code == 0
    result = kd("predict", "one", "-o", "views.csv", "--tta", "5")
    assert result.exit_code == 0, result.output
    assert "719 rows from 5 views of each image" in result.stdout
    before = Path("submissions/one.csv").read_bytes()
    assert "0 differ" in kd("predict", "one").stdout
    assert Path("submissions/one.csv").read_bytes() == before
