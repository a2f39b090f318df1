"""Learning curves of one and of several members."""

from __future__ import annotations

import numpy as np

from kaggle_digits.plots.curves import learning_curves
from tests.plots.inputs import history


def test_learning_curves_name_only_recorded_values() -> None:
    loss, accuracy = learning_curves(history(2, 3)).axes
    assert loss.get_legend_handles_labels()[1] == ["training", "validation"]
    assert accuracy.get_legend_handles_labels()[1] == ["validation"]


def test_the_mean_curve_ends_with_the_shortest_member() -> None:
    loss = learning_curves(history(2, 3)).axes[0]
    mean = loss.lines[2]  # after one line per member
    assert np.asarray(mean.get_xdata()).tolist() == [1, 2, 3]
