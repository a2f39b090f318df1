"""Runs side by side on the rows that all of them held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.evaluation.comparison import compare, draw, in_words
from kaggle_digits.metrics.mcnemar import turned
from kaggle_digits.plots import style

TRUTH = np.arange(10, dtype=np.uint8).repeat(20)


def answers(wrong: range, missing: range = range(0)) -> NDArray[np.float32]:
    """Probabilities right on every row but ``wrong``, and none on ``missing``."""
    found = np.full((200, 10), 0.01, np.float32)
    found[np.arange(200), TRUTH] = 0.91
    found[wrong] = np.roll(found[wrong], 1, axis=1)
    found[missing] = np.nan
    return found


def test_the_best_comes_first_and_the_others_are_tested_against_it() -> None:
    found = compare({"poor": answers(range(40)), "good": answers(range(38, 42))}, TRUTH)
    assert [item.run for item in found] == ["good", "poor"]
    assert found[0].score.accuracy == 196 / 200
    assert found[0].against is None
    assert found[1].against == turned(np.arange(200) >= 40, ~np.isin(np.arange(200), range(38, 42)))
    assert (found[1].against.gained, found[1].against.lost) == (38, 2)
    (said,) = in_words(found)
    assert said.startswith("good is better than poor, by more than chance would give: 38 rows")


def test_a_narrow_lead_is_called_chance_and_a_draw_a_draw() -> None:
    narrow, drawn = (
        in_words(compare({"a": answers(range(3)), "b": answers(other)}, TRUTH))[0]
        for other in (range(5, 9), range(5, 8))
    )
    assert narrow.startswith("a is ahead of b, but chance alone may do so: 4 rows only a")
    assert drawn.startswith("b is as often right as a: 3 rows")


def test_only_shared_rows_count_and_of_many_the_best_is_said_to_be_chosen() -> None:
    three = {
        "a": answers(range(2), missing=range(100, 200)),
        "b": answers(range(50), missing=range(30)),
        "c": answers(range(40)),
    }
    found = compare(three, TRUTH)
    assert {item.score.n for item in found} == {70}
    assert [item.run for item in found] == ["a", "c", "b"]
    assert in_words(found)[-1].startswith("the best of 3 was chosen on the rows")


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(UsageError, match="two or more: kd compare RUN RUN"):
        compare({"a": answers(range(2))}, TRUTH)
    apart = {
        "a": answers(range(2), missing=range(100)),
        "b": answers(range(2), missing=range(100, 200)),
    }
    with pytest.raises(RunError, match="a, b held out different rows"):
        compare(apart, TRUTH)


def test_the_picture_names_each_run_and_counts_the_rows(tmp_path: Path) -> None:
    runs = {f"a-run-with-a-long-name-{n}": answers(range(3 * n)) for n in range(4)}
    figure = draw(compare(runs, TRUTH))
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(runs)
    assert "9   p = 0.0039" in [text.get_text() for text in right.texts]
    style.save(figure, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000
