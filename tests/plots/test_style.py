"""The style of all figures, and how they are saved."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kaggle_digits.metrics.classification import compute_metrics, notable_predictions
from kaggle_digits.plots import charts, digit_grids, style
from tests.plots.inputs import (
    IMAGES,
    LABELS,
    PROBABILITIES,
    RNG,
    history,
    run_comparison,
    shifted_copies,
)

METRICS = compute_metrics(PROBABILITIES, LABELS)
ERRORS, UNSURE = notable_predictions(PROBABILITIES, LABELS, np.arange(len(LABELS)), 24)
PICTURE = RNG.random((20, 30), np.float32)
PERFECT = 4000 * np.eye(10, dtype=np.int64)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


FIGURES: dict[str, Callable[[], Figure]] = {
    "class balance": lambda: charts.class_balance(np.bincount(LABELS, minlength=10)),
    "class balance, one class": lambda: charts.class_balance(np.eye(10, dtype=int)[3] * 7),
    "first digits": lambda: digit_grids.first_digits(IMAGES, LABELS),
    "first digits, only four": lambda: digit_grids.first_digits(IMAGES[:4], LABELS[:4]),
    "random digits": lambda: digit_grids.random_digits(IMAGES, LABELS),
    "random digits, only 13": lambda: digit_grids.random_digits(IMAGES[:13], LABELS[:13]),
    "mean digits": lambda: digit_grids.mean_digits(IMAGES, LABELS),
    "mean digits, two classes": lambda: digit_grids.mean_digits(IMAGES[:2], LABELS[:2]),
    "confusion matrix": lambda: charts.confusion_matrix(METRICS.confusion),
    "confusion matrix, no errors": lambda: charts.confusion_matrix(PERFECT),
    "reliability": lambda: charts.reliability_diagram(METRICS.calibration),
    "reliability, both": lambda: charts.reliability_diagram(
        METRICS.calibrated, METRICS.calibration
    ),
    "class accuracy": lambda: charts.class_accuracy(METRICS.classes, METRICS.score.accuracy),
    "run comparison": lambda: run_comparison(["a", "b"]),
    "embedding": lambda: charts.embedding(normal(120, 2), LABELS, "title", "note"),
    "errors": lambda: digit_grids.most_confident_errors(IMAGES, ERRORS),
    "one error": lambda: digit_grids.most_confident_errors(IMAGES, ERRORS[:1]),
    "least confident": lambda: digit_grids.least_confident_correct(IMAGES, UNSURE[:4]),
    "saliency": lambda: digit_grids.saliency(IMAGES, ERRORS[:7], normal(7, 28, 28)),
    "saliency, blank image": lambda: digit_grids.saliency(
        0 * IMAGES, ERRORS[:1], np.zeros((1, 28, 28), np.float32)
    ),
    "examples": lambda: digit_grids.examples(
        list(IMAGES[:2]), ["a", "b"], PROBABILITIES[:2].tolist(), [1, None], "title"
    ),
    "examples, only images": lambda: digit_grids.examples(
        list(IMAGES[:4]), ["a"] * 4, [None] * 4, [1] * 4, "title"
    ),
    "label errors": lambda: digit_grids.label_errors(IMAGES, ERRORS[:7], 8),
    "learning curves": lambda: charts.learning_curves(history(3, 4)),
    "learning curves, one member": lambda: charts.learning_curves(history(1, 4)),
    "weights, dense layer": lambda: digit_grids.first_layer_weights(normal(70, 28, 28)),
    "weights, linear model": lambda: digit_grids.first_layer_weights(
        normal(10, 28, 28), linear=True
    ),
    "weights, filters": lambda: digit_grids.first_layer_weights(normal(5, 3, 3)),
    "weights, diverged": lambda: digit_grids.first_layer_weights(
        np.full((2, 3, 3), np.nan, np.float32)
    ),
    "augmentation": lambda: digit_grids.augmented_digits(
        IMAGES[:10], shifted_copies(9), "x", "shift ±9 px"
    ),
    "augmentation, one image": lambda: digit_grids.augmented_digits(
        IMAGES[:1], shifted_copies(3)[:, :1], "x", "nothing"
    ),
    "augmentation, blank images": lambda: digit_grids.augmented_digits(
        0 * IMAGES[:2], shifted_copies(2)[:, :2], "x", "shift ±2 px"
    ),
    "preprocessing": lambda: digit_grids.preprocessing_steps(
        "a.png", {"picture": PICTURE, "ink": PICTURE}, np.full(10, 0.1, np.float32)
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_saved_on_opaque_white_and_no_text_is_cut_off(
    name: str, tmp_path: Path
) -> None:
    before = dict(mpl.rcParams)
    figure, path = FIGURES[name](), tmp_path / "figure.png"
    style.save(figure, path)
    assert dict(mpl.rcParams) == before
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGBA"))
    assert (pixels[..., 3] == 255).all()
    assert (pixels[0, 0, :3] == 255).all()
    assert pixels[..., :3].min() < 64  # something dark is drawn
    assert figure.texts  # its title and note
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        style.save(digit_grids.random_digits(IMAGES, LABELS, seed=3), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


RC = "font.size: 30\nimage.cmap: jet\nsavefig.bbox: tight\nfigure.dpi: 30\naxes.titlepad: 40\n"
DRAW = """
import sys
from pathlib import Path
import numpy as np
from kaggle_digits.plots import charts, style
if sys.argv[1] == "user's matplotlib":
    import matplotlib
    matplotlib.rcParams.update({"font.size": 30, "axes.titlepad": 40})
style.DPI = int(sys.argv[2])
style.save(charts.class_balance(np.arange(1, 11)), Path("new.png"))
import matplotlib
print(matplotlib.rcParams["font.size"], matplotlib.rcParams._get("backend"))
"""


@pytest.mark.parametrize(
    ("matplotlibrc", "env", "argument", "size"),
    [
        (RC.encode(), {}, "", "30.0"),
        (b"lines.linewidth: thick\nno.such.key: 1\n", {}, "", "10.0"),
        (RC.encode("utf-16"), {}, "", "10.0"),
        (None, {"MPLBACKEND": "no-such-backend"}, "", "10.0"),
        (RC.encode("utf-16"), {"MPLBACKEND": "svg"}, "", "10.0 svg"),
        (None, {}, "user's matplotlib", "30.0"),
    ],
)
def test_settings_of_the_user_change_no_figure(
    matplotlibrc: bytes | None, env: dict[str, str], argument: str, size: str, tmp_path: Path
) -> None:
    """The settings themselves are left to the program that uses this package."""
    style.save(charts.class_balance(np.arange(1, 11)), tmp_path / "expected.png")
    if matplotlibrc:
        (tmp_path / "matplotlibrc").write_bytes(matplotlibrc)
    command = [sys.executable, "-c", DRAW, argument, str(style.DPI)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **env}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(size)
    assert (tmp_path / "new.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_ten_digits_have_ten_colours() -> None:
    assert len(set(style.DIGIT_COLORS)) == 10


def test_no_display_is_needed() -> None:
    code = (
        "import sys, numpy as np; from kaggle_digits.plots import charts; "
        "charts.class_balance(np.ones(10, int)); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
