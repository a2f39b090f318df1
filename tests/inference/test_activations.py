"""What the first layers of a network compute."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import DataError
from kaggle_digits.inference.activations import draw_layer, first_layers
from kaggle_digits.models.formats import LITERT_FILE, to_litert
from kaggle_digits.runs.run import Run
from tests.models.test_registry import IMAGES, classifier


def test_dense_layers_are_squares_of_their_units(trained_run: Run) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 255
    layers = first_layers(trained_run, image)
    assert layers
    for name, output in layers:
        units = output.shape[2]
        assert name == f"{units} units"
        assert output.shape == (1, 1, units)
        side = draw_layer(output).shape[1]
        assert (side - 1) ** 2 < units <= side**2
    other = first_layers(trained_run, np.roll(image, 5, axis=1))
    assert not np.array_equal(other[0][1], layers[0][1])


def test_filters_are_a_grid_with_gaps() -> None:
    output = np.zeros((3, 4, 10), np.float32)
    output[1, 2, 0], output[0, 0, 9], output[0, 1, 9] = 0.5, 2, -1
    image = draw_layer(output)
    assert image.shape == (2 * 4, 8 * 5)
    assert image[1 + 1, 1 + 2] == 255, "the largest output of a filter is white"
    assert image[4 + 1, 5 + 1] == 255
    assert image[4 + 1, 5 + 2] == 0, "negative outputs are black"
    assert image[0, 0] == image[4, 5] > 0


def test_convolutions_keep_their_place(trained_run: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(trained_run.path, tmp_path / "copy")))
    path = copy.member_folders()[0] / LITERT_FILE
    content = to_litert(classifier("cnn"), IMAGES)
    assert content is not None
    path.write_bytes(content)
    image = np.zeros((28, 28), np.uint8)
    image[2:12, 12:16] = 255
    layers = first_layers(copy, image)
    name, output = layers[0]
    height, width, filters = output.shape
    assert name == f"{filters} filters, {height} × {width}"
    assert len({name for name, _ in layers}) > 1
    change = np.abs(output - first_layers(copy, 0 * image)[0][1]).sum(axis=2)
    assert change[: height // 2].sum() > 0
    assert change[-2:].sum() == 0, "there is no ink"
    path.unlink()
    with pytest.raises(DataError, match="no LiteRT model"):
        first_layers(copy, image)
