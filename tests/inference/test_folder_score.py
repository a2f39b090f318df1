"""Scores of runs on folders with labels.csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaggle_digits.imaging.labelled_folder import read_labels
from kaggle_digits.imaging.reader import PictureReader
from kaggle_digits.inference.folder_score import score_folder
from kaggle_digits.inference.predictor import Predictor
from kaggle_digits.runs.run import Run
from tests.support.labelled import write_labelled


def test_what_is_not_read_is_wrong(trained_run: Run, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "drawings", [1, 4, 7, 1])
    predictor = Predictor(trained_run)
    score = score_folder(predictor, PictureReader(), read_labels(folder))
    truth = dict(read_labels(folder))
    assert score.n == 4
    assert score.accuracy == pytest.approx(1 - len(score.wrong) / 4)
    assert score.ci95[0] < score.accuracy <= score.ci95[1]
    right = [path for path in truth if str(path) not in {one.file for one in score.wrong}]
    (folder / right[0].name).write_bytes(b"damaged")
    again = score_folder(predictor, PictureReader(), read_labels(folder))
    (added,) = [one for one in again.wrong if one not in score.wrong]
    assert (added.digit, added.confidence, added.label) == (None, None, truth[right[0]])
    assert "not a readable picture" in added.note
