"""Figures made of digit images."""

from __future__ import annotations

import numpy as np

from kaggle_digits.plots import digit_grids
from tests.plots.inputs import IMAGES, shifted_copies


def test_augmented_digits_are_shown_beside_their_original() -> None:
    copies = shifted_copies(9)
    figure = digit_grids.augmented_digits(IMAGES[:10], copies, "one", "shift ±9 px")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "shift ±9 px"
    mosaic = np.asarray(axes.images[0].get_array())
    for line, image in enumerate(IMAGES[:10]):
        row = mosaic[28 * line : 28 * (line + 1)]
        assert np.array_equal(row[:, :28], image)
        for position in range(9):
            left = 28 + digit_grids.GAP + 28 * position
            assert np.array_equal(row[:, left : left + 28], copies[position, line])


def test_weights_of_a_linear_model_are_named_by_their_digits() -> None:
    weights = np.ones((10, 28, 28), np.float32)
    for units, linear, names in (
        (weights, True, list("0123456789")),
        (weights, False, []),  # hidden units
        (weights[:9], True, []),  # the training rows lack a digit
    ):
        axes = digit_grids.first_layer_weights(units, linear=linear).axes[0]
        assert [text.get_text() for text in axes.texts] == names


def test_evidence_for_a_digit_is_orange_and_against_it_blue() -> None:
    weights = np.linspace(-1, 1, 7840, dtype=np.float32).reshape(10, 28, 28)
    first, *_, last = digit_grids.first_layer_weights(weights, linear=True).axes[0].images
    (red, _, blue, _), (low_red, _, low_blue, _) = (
        image.to_rgba(np.asarray(image.get_array()))[0, 0] for image in (last, first)
    )
    assert red > blue
    assert low_red < low_blue


def test_first_of_each_class() -> None:
    rows = digit_grids.first_of_each_class(np.array([3, 3, 0, 9, 0]))
    assert rows.tolist() == [2, 0, 3]


def test_steps_of_a_narrow_picture_are_squares_and_say_that_nothing_was_found() -> None:
    picture = np.full((120, 14, 3), 0.8, np.float32)
    figure = digit_grids.preprocessing_steps(
        "narrow", {"picture": picture}, np.zeros(10, np.float32)
    )
    steps, bars = figure.axes
    assert abs(np.ptp(steps.get_xlim())) == abs(np.ptp(steps.get_ylim())) == 120
    assert "no digit found" in [text.get_text() for text in bars.texts]
