"""Noise of the denoising study."""

from __future__ import annotations

import numpy as np
import pytest

from kaggle_digits.studies.denoise import add_noise
from tests.support import small_runs


def test_noise_depends_on_seed_and_level_only() -> None:
    images = small_runs.digits(50)[0]
    noisy = add_noise(images, 0.5, 1)
    assert noisy.dtype == np.uint8
    assert np.array_equal(noisy, add_noise(images, 0.5, 1))
    assert not np.array_equal(noisy, add_noise(images, 0.5, 2))
    assert np.array_equal(add_noise(images, 0.0, 1), images)


def test_each_kind_of_noise_has_its_distribution() -> None:
    grey = np.full((200, 28, 28), 128, np.uint8)
    assert add_noise(grey, 0.1, 1).std() == pytest.approx(25.5, rel=0.02)
    uniform = add_noise(grey, 0.1, 1, "uniform").astype(int) - 128
    assert (uniform.min(), uniform.max()) == (-25, 25)
    replaced = add_noise(grey, 0.2, 1, "salt-and-pepper")
    assert set(np.unique(replaced)) == {0, 128, 255}
    assert (replaced != 128).mean() == pytest.approx(0.2, abs=0.01)
