"""kd predict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.data.submission_csv import read_origin
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


@pytest.mark.usefixtures("work")
def test_other_views_replace_nothing_and_are_recorded_with_their_accuracy() -> None:
    assert kd("train", *QUICK, "--name", "one").exit_code == 0
    path = Path("submissions/one.csv")
    before, record = path.read_bytes(), Path("submissions/one.json").read_bytes()
    result = kd("predict", "one", "--tta", "5")
    assert_error(
        result,
        1,
        "one.csv already exists; write another file (kd predict one --tta 5 -o FILE.csv), or",
    )
    assert path.read_bytes() == before
    assert Path("submissions/one.json").read_bytes() == record
    Path("b.csv").touch()
    result = kd("predict", "one", "--tta", "5", "-o", "b.csv")
    assert_error(result, 1, "or back it up (kd predict one --tta 5 -o b.csv --force)")
    result = kd("predict", "one", "--tta", "5", "--force", "--json")
    assert result.exit_code == 0, result.output
    printed, origin = json.loads(result.stdout), read_origin(path)
    assert origin is not None
    assert Path("submissions/one-old-1.csv").read_bytes() == before
    assert Path("submissions/one-old-1.json").read_bytes() == record
    views = json.loads(kd("evaluate", "one", "--tta", "5", "--json").stdout)
    assert (origin.views, origin.n_val, origin.accuracy) == (5, 108, views["accuracy"])
    assert (printed["views"], printed["accuracy"]) == (5, views["accuracy"])
    assert_error(kd("predict", "one"), 1, "it holds other predictions of run one")
    assert_error(kd("train", "--resume", "--name", "one"), 1, "kd predict one --force")
    assert kd("predict", "one", "--force").exit_code == 0
    assert path.read_bytes() == before
    assert kd("predict", "one").exit_code == 0
    assert not Path("submissions/one-old-3.csv").exists()


@pytest.mark.usefixtures("work")
def test_views_of_a_run_without_validation_rows_have_no_accuracy() -> None:
    assert kd("train", *QUICK, "--all-rows", "--name", "all").exit_code == 0
    result = kd("predict", "all", "--tta", "5", "-o", "five.csv")
    assert result.exit_code == 0, result.output
    origin = read_origin(Path("five.csv"))
    assert origin is not None
    assert (origin.views, origin.accuracy, origin.n_val) == (5, None, 0)
