"""kd predict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import QUICK, assert_error, kd


@pytest.mark.usefixtures("work")
def test_predictions_are_written_again() -> None:
    assert kd("train", *QUICK, "--name", "one").exit_code == 0
    result = kd("predict", "one", "-o", "views.csv", "--tta", "5")
    assert result.exit_code == 0, result.output
    assert "719 rows from 5 views of each image" in result.stdout
    before = Path("submissions/one.csv").read_bytes()
    assert "0 differ" in kd("predict", "one").stdout
    assert Path("submissions/one.csv").read_bytes() == before


@pytest.mark.usefixtures("work")
def test_submission_of_another_origin_is_not_replaced() -> None:
    for name in ("one", "two"):
        assert kd("train", *QUICK, "--name", name).exit_code == 0
    path = Path("submissions/one.csv")
    assert kd("ensemble", "one", "two", "-o", path, "--force").exit_code == 0
    before = path.read_bytes()
    for command in (["predict", "one"], ["train", "--resume", "--name", "one"]):
        assert_error(kd(*command), 1, "was not made from run one alone", "kd predict one --force")
        assert path.read_bytes() == before
    assert kd("predict", "one", "--force").exit_code == 0
    assert Path("submissions/one-old-2.csv").read_bytes() == before
    assert kd("predict", "one").exit_code == 0
