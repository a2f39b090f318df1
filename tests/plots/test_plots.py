"""The figures: what stands in them, and that they leave matplotlib alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kaggle_digits.metrics.calibration import calibration_curve
from kaggle_digits.metrics.classification import compute_metrics
from kaggle_digits.metrics.mcnemar import mcnemar
from kaggle_digits.metrics.predictions import (
    Prediction,
    least_confident_correct,
    most_confident_errors,
)
from kaggle_digits.metrics.scores import Score, wilson_interval
from kaggle_digits.plots import charts, curves, digit_grids, style
from kaggle_digits.plots.digit_grids import preprocessing_steps
from tests.support import small_runs

IMAGES, LABELS = small_runs.digits(120)
RNG = np.random.default_rng(0)
PALE = RNG.random((20, 30), np.float32)
PROBABILITIES = RNG.dirichlet(np.full(10, 0.1), len(LABELS)).astype(np.float32)
METRICS = compute_metrics(PROBABILITIES, LABELS)


def history(members: int, epochs: int) -> list[dict[str, float]]:
    """Epochs counted from 0, as the trainer writes them; member m trains m epochs longer."""
    return [
        {
            "member": m,
            "epoch": e - 1,
            "loss": 1 / e,
            "accuracy": np.nan,
            "val_loss": 2 / e,
            "val_accuracy": 1 - 1 / (e + 1),
        }
        for m in range(members)
        for e in range(1, epochs + 1 + m)
    ]


def answers(
    pick: Callable[..., list[Prediction]], most: int
) -> tuple[np.ndarray, list[Prediction]]:
    found = pick(PROBABILITIES, LABELS, np.arange(len(LABELS)), most)
    return IMAGES[[answer.row for answer in found]], found


def copies(count: int) -> np.ndarray:
    """Each digit pushed sideways by another number of pixels."""
    return np.stack([np.roll(IMAGES[:10], k + 1, axis=2) for k in range(count)])


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "class balance": lambda: charts.class_balance(np.bincount(LABELS, minlength=10)),
    "class balance, one class": lambda: charts.class_balance(np.eye(10, dtype=int)[3] * 7),
    "first digits": lambda: digit_grids.first_digits(IMAGES, LABELS),
    "four digits": lambda: digit_grids.first_digits(IMAGES[:4], LABELS[:4]),
    "grid": lambda: digit_grids.random_digits(IMAGES, LABELS),
    "small grid": lambda: digit_grids.random_digits(IMAGES[:13], LABELS[:13]),
    "means": lambda: digit_grids.mean_digits(IMAGES, LABELS),
    "means of two": lambda: digit_grids.mean_digits(IMAGES[:2], LABELS[:2]),
    "confusion": lambda: charts.confusion_matrix(METRICS.confusion),
    "confusion, nothing wrong": lambda: charts.confusion_matrix(4000 * np.eye(10, dtype=np.int64)),
    "reliability": lambda: charts.reliability_diagram(METRICS.calibration),
    "class accuracy": lambda: charts.class_accuracy(METRICS.classes, METRICS.score.accuracy),
    "mistakes": lambda: digit_grids.most_confident_errors(*answers(most_confident_errors, 24)),
    "one mistake": lambda: digit_grids.most_confident_errors(*answers(most_confident_errors, 1)),
    "doubtful": lambda: digit_grids.least_confident_correct(*answers(least_confident_correct, 4)),
    "curves": lambda: curves.learning_curves(history(3, 4)),
    "one curve": lambda: curves.learning_curves(history(1, 4)),
    "dense layer": lambda: digit_grids.first_layer_weights(
        RNG.normal(size=(70, 28, 28)).astype(np.float32)
    ),
    "filters": lambda: digit_grids.first_layer_weights(
        RNG.normal(size=(5, 3, 3)).astype(np.float32)
    ),
    "moved": lambda: digit_grids.augmented_digits(IMAGES[:10], copies(9), "x", "shift ±9 px"),
    "one moved": lambda: digit_grids.augmented_digits(IMAGES[:1], copies(3)[:, :1], "x", "nothing"),
    "blank moved": lambda: digit_grids.augmented_digits(
        0 * IMAGES[:2], copies(2)[:, :2], "x", "shift ±2 px"
    ),
    "steps": lambda: preprocessing_steps(
        "a.png", {"picture": PALE, "ink": PALE}, np.full(10, 0.1, np.float32)
    ),
    "diverged layer": lambda: digit_grids.first_layer_weights(
        np.full((2, 3, 3), np.nan, np.float32)
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_figure_is_saved_on_opaque_white(name: str, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    path = tmp_path / "figure.png"
    style.save(DRAWINGS[name](), path)
    assert dict(mpl.rcParams) == before
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGBA"))
    assert (pixels[..., 3] == 255).all()
    assert (pixels[0, 0, :3] == 255).all()
    assert pixels[..., :3].min() < 64  # there is ink on it


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        style.save(digit_grids.random_digits(IMAGES, LABELS, seed=3), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_moved_digits_stand_beside_the_digit_as_it_is() -> None:
    figure = digit_grids.augmented_digits(IMAGES[:10], copies(9), "one", "shift ±9 px")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "shift ±9 px"
    wall = np.asarray(axes.images[0].get_array())
    for line, image in enumerate(IMAGES[:10]):
        row = wall[28 * line : 28 * (line + 1)]
        assert np.array_equal(row[:, :28], image)
        for place in range(9):
            left = 28 + digit_grids.GAP + 28 * place
            assert np.array_equal(row[:, left : left + 28], copies(9)[place, line])


def test_the_first_of_each_digit_is_taken() -> None:
    found = digit_grids.first_of_each_class(np.array([3, 3, 0, 9, 0]))
    assert found.tolist() == [2, 0, 3]


def test_confusion_shows_every_count_at_both_ends_of_the_range() -> None:
    matrix = 4000 * np.eye(10, dtype=np.int64)
    matrix[4, 9], matrix[9, 4] = 1, 37
    assert {"4,000", "1", "37"} <= texts(charts.confusion_matrix(matrix))


def test_curves_name_only_what_was_recorded() -> None:
    figure = curves.learning_curves(history(2, 3))
    loss, accuracy = figure.axes
    assert loss.get_legend_handles_labels()[1] == ["training", "validation"]
    assert accuracy.get_legend_handles_labels()[1] == ["validation"]
    bold = loss.lines[2]  # after the members' two
    assert np.asarray(bold.get_xdata()).tolist() == [
        1,
        2,
        3,
    ]  # the mean ends where the first member does


def test_reliability_marks_only_bins_with_answers() -> None:
    certain = np.eye(10, dtype=np.float32)[[1, 2, 3]]
    figure = charts.reliability_diagram(calibration_curve(certain, np.array([1, 2, 4])))
    points = figure.axes[0].lines[1]  # after the dashed line
    assert np.asarray(points.get_xdata()).tolist() == [100]
    assert np.asarray(points.get_ydata()) == pytest.approx(200 / 3)


def test_ten_digits_have_ten_colours() -> None:
    assert len(set(style.DIGIT_COLORS)) == 10


def test_no_display_is_ever_asked_for() -> None:
    code = (
        "import sys, numpy as np; from kaggle_digits.plots import charts; "
        "charts.class_balance(np.ones(10, int)); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_comparison_names_each_run_and_counts_the_rows(tmp_path: Path) -> None:
    correct = [np.arange(200) >= 3 * n for n in range(4)]
    names = [f"a-run-with-a-long-name-{n}" for n in range(4)]
    scores = [Score(c.mean(), wilson_interval(int(c.sum()), 200), 0.1, 200) for c in correct]
    tests = [None, *(mcnemar(other, correct[0]) for other in correct[1:])]
    figure = charts.run_comparison(names, scores, tests)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == names
    assert "9   p = 0.0039" in [text.get_text() for text in right.texts]
    style.save(figure, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000
