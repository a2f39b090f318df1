"""The values and names that charts show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.metrics.calibration import calibration_curve
from kaggle_digits.plots import charts, style
from tests.plots.inputs import history, run_comparison


def test_confusion_matrix_shows_small_and_large_counts() -> None:
    matrix = 4000 * np.eye(10, dtype=np.int64)
    matrix[4, 9], matrix[9, 4] = 1, 37
    (axes,) = charts.confusion_matrix(matrix).axes
    assert {"4,000", "1", "37"} <= {text.get_text() for text in axes.texts}


def test_reliability_diagram_marks_only_bins_with_predictions() -> None:
    certain = np.eye(10, dtype=np.float32)[[1, 2, 3]]
    figure = charts.reliability_diagram(calibration_curve(certain, np.array([1, 2, 4])))
    points = figure.axes[0].lines[1]  # after the dashed line
    assert np.asarray(points.get_xdata()).tolist() == [100]
    assert np.asarray(points.get_ydata()) == pytest.approx(200 / 3)


def test_run_comparison_names_each_run_and_counts_the_rows(tmp_path: Path) -> None:
    names = [f"a-run-with-a-long-name-{n}" for n in range(4)]
    figure = run_comparison(names)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == names
    assert "9   p = 0.0039" in [text.get_text() for text in right.texts]
    style.save(figure, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_epochs_have_whole_numbers_as_ticks() -> None:
    for x, whole in (([1, 2, 3], True), ([0.0, 0.5, 1.0], False)):
        line = charts.Line(x, [3, 2, 1], style.TRAIN_COLOR)
        ticks = charts.line_chart([line], "Loss", "epoch", "loss").axes[0].get_xticks()
        assert all(float(tick).is_integer() for tick in ticks) == whole


def test_learning_curves_name_only_recorded_values() -> None:
    loss, accuracy = charts.learning_curves(history(2, 3)).axes
    assert loss.get_legend_handles_labels()[1] == ["training", "validation"]
    assert accuracy.get_legend_handles_labels()[1] == ["validation"]


def test_the_mean_curve_ends_with_the_shortest_member() -> None:
    loss = charts.learning_curves(history(2, 3)).axes[0]
    mean = loss.lines[2]  # after one line per member
    assert np.asarray(mean.get_xdata()).tolist() == [1, 2, 3]
