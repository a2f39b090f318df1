"""Slant and width taken out of a digit by its moments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier, load_classifier
from kaggle_digits.models.normalization import Normalizer
from kaggle_digits.models.registry import build
from kaggle_digits.models.straighten import WIDTH, evened, upright

Image = NDArray[np.float32]


def stroke(slant: float = 0.0, width: float = 1.5, shift: tuple[float, float] = (0, 0)) -> Image:
    """(1, 28, 28, 1): a soft upright bar, slanted, widened and shifted."""
    y, x = np.mgrid[:28, :28] - 13.5
    y, x = y - shift[0], x - shift[1]
    bar = np.exp(-0.5 * np.square((x - slant * y) / width)) * (np.abs(y) < 8)
    return np.asarray(bar[None, :, :, None], np.float32)


def moments(image: Image) -> dict[str, float]:
    y, x = np.mgrid[:28, :28] - 13.5
    weight = image[0, :, :, 0] / image.sum()
    middle_y, middle_x = float((weight * y).sum()), float((weight * x).sum())
    y, x = y - middle_y, x - middle_x
    slant = float((weight * x * y).sum() / (weight * y * y).sum())
    return {
        "x": middle_x,
        "y": middle_y,
        "slant": slant,
        "width": float(np.sqrt((weight * np.square(x - slant * y)).sum())),
    }


def made(by: Any, image: Image) -> Image:
    return np.asarray(keras().ops.convert_to_numpy(by(image)), np.float32)


@pytest.mark.parametrize("slant", [-0.4, -0.2, 0.3])
@pytest.mark.parametrize("by", [upright, evened])
def test_slant_is_removed(by: Any, slant: float) -> None:
    before = stroke(slant, shift=(1, -2))
    assert moments(before)["slant"] == pytest.approx(slant, abs=0.05)
    after = moments(made(by, before))
    assert after["slant"] == pytest.approx(0, abs=0.03)
    assert (after["x"], after["y"]) == pytest.approx((0, 0), abs=0.1)


def test_width_is_evened_within_limits() -> None:
    for width in (2.8, 3.6, 4.4):
        assert moments(made(evened, stroke(width=width)))["width"] == pytest.approx(WIDTH, abs=0.4)
    assert moments(made(evened, stroke(width=0.7)))["width"] < 0.6 * WIDTH  # a 1 is no blot
    assert moments(made(upright, stroke(width=2.8)))["width"] == pytest.approx(2.8, abs=0.2)


def test_an_upright_digit_in_the_middle_stays_as_it_is() -> None:
    assert np.allclose(made(upright, stroke()), stroke(), atol=0.02)


@pytest.mark.parametrize("by", [upright, evened])
def test_a_blank_image_stays_blank(by: Any) -> None:
    assert not made(by, np.zeros((2, 28, 28, 1), np.float32)).any()


def test_each_image_is_taken_by_itself() -> None:
    one, other = stroke(0.3), stroke(-0.2, 2.5)
    both = made(evened, np.concatenate([one, other]))
    assert np.allclose(both, np.concatenate([made(evened, one), made(evened, other)]), atol=1e-5)


@pytest.mark.parametrize("model", ["strong-3x3", "strong-upright", "strong-evened", "strong-5x5"])
def test_the_designs_are_kept_and_read_back(model: str, tmp_path: Path) -> None:
    body = build(model, {"widths": (2, 3, 4, 5)}, rows=100, batch_size=10)
    classifier = KerasClassifier.wrap(body, Normalizer("unit"))
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), np.uint8)
    classifier.save(tmp_path)
    expected = classifier.predict_proba(images)
    assert np.allclose(load_classifier(tmp_path).predict_proba(images), expected, atol=1e-6)
    assert np.allclose(expected.sum(axis=1), 1, atol=1e-5)
