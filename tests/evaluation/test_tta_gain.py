"""More views against one, on rows made by hand and in a whole evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation.evaluate import evaluate
from kaggle_digits.evaluation.tta_gain import best_views, compare_views
from kaggle_digits.metrics.mcnemar import Turned
from kaggle_digits.runs.run import Run

TRUTH = np.arange(10).repeat(10)


def answers(wrong: range) -> NDArray[np.float32]:
    """Probabilities that read every row of TRUTH rightly but those in ``wrong``; row 99: none."""
    found = np.full((100, 10), 0.01, np.float32)
    found[np.arange(100), TRUTH] = 0.91
    found[wrong] = np.roll(found[wrong], 1, axis=1)
    found[99] = np.nan
    return found


def test_rows_that_turn_are_counted_and_tested() -> None:
    one, five = compare_views({5: answers(range(8, 12)), 1: answers(range(10))}, TRUTH)
    assert (one.views, one.changed, one.turned) == (1, 0, Turned(0, 0, 1.0))
    assert (five.views, five.changed, five.turned.gained, five.turned.lost) == (5, 10, 8, 2)
    # Of 10 rows that turned, 8 or more one way: (45 + 10 + 1) / 1024, and as much the other way.
    assert five.turned.p_value == pytest.approx(2 * 56 / 1024)
    assert not five.turned.beyond_chance
    assert one.score.n == five.score.n == 99
    assert one.score.accuracy == pytest.approx(89 / 99)
    assert best_views([one, five]) is five


def test_of_equals_the_surer_then_the_cheaper_is_best() -> None:
    sure = np.where(answers(range(3)) > 0.5, 0.991, 0.001)
    sure[99] = np.nan
    scores = compare_views({1: answers(range(3)), 5: sure, 9: sure}, TRUTH)
    assert [item.turned.p_value for item in scores] == [1.0, 1.0, 1.0]
    assert scores[0].score.log_loss != scores[1].score.log_loss
    best = min(scores, key=lambda item: item.score.log_loss)
    assert best_views(scores) is best
    with pytest.raises(RunError, match="no predictions"):
        compare_views({1: np.full((100, 10), np.nan)}, TRUTH)


def test_an_evaluation_of_other_predictions(
    run: Run, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    found = evaluate(run, dataset, lambda *_: {1: oof, 5: perfect})
    assert found.metrics.score.accuracy == 1
    assert found.mistakes == ()
    assert [item.views for item in found.views] == [1, 5]
    assert "the mean over 5 moved views of it" in found.report.read_text(encoding="utf-8")
    own = evaluate(run, dataset)
    assert own.views == ()
    assert own.metrics.score == found.views[0].score
    assert "moved views" not in own.report.read_text(encoding="utf-8")


def test_a_run_that_held_nothing_out_is_refused_before_anything_is_predicted(
    run: Run, dataset: Dataset
) -> None:
    run.write_config({**run.config(), "split": {"kind": "all"}})

    def predict(run: Run, dataset: Dataset) -> dict[int, NDArray[np.float32]]:
        raise AssertionError("predicted in vain")

    with pytest.raises(RunError, match="--all-rows"):
        evaluate(run, dataset, predict)
