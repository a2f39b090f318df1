"""The fixed DCT filters of the first layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.fft import dctn

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.architectures import dct_filters, dct_layer
from kaggle_digits.models.base import KerasClassifier, load_classifier
from kaggle_digits.models.registry import build
from kaggle_digits.training.fold import make_trainer
from kaggle_digits.training.recipe import Recipe


def test_filters_are_dct_basis_functions_in_order_of_frequency() -> None:
    filters = dct_filters(25)[:, :, 0, :25]
    for number in range(25):
        found = dctn(filters[..., number], norm="ortho")
        assert np.abs(found).max() == pytest.approx(1, abs=1e-5)  # one frequency, length 1
        assert np.count_nonzero(np.abs(found) > 1e-5) == 1
    places = [np.argwhere(np.abs(dctn(filters[..., n])) > 1e-3)[0] for n in range(25)]
    frequencies = [int(down**2 + across**2) for down, across in places]
    assert frequencies == sorted(frequencies)
    assert len({tuple(place) for place in places}) == 25


def test_each_filter_has_its_negative() -> None:
    filters = dct_filters(7)
    assert filters.shape == (5, 5, 1, 14)
    assert np.array_equal(filters[..., 7:], -filters[..., :7])


@pytest.mark.parametrize("filters", [0, 7, 52])
def test_invalid_number_of_filters_is_refused(filters: int) -> None:
    with pytest.raises(UsageError, match="even number from 2 to 50"):
        dct_layer(filters, 24)
    with pytest.raises(UsageError, match="even number from 2 to 50"):
        build("fast", {"widths": (filters, 3, 4)}, rows=10, batch_size=10)


def test_filters_are_not_trained_and_are_saved(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), np.uint8)
    labels = (np.arange(64) % 10).astype(np.uint8)
    recipe = Recipe("fast", widths=(6, 4, 5), epochs=1, batch_size=16, optimizer="muon")
    learner = make_trainer(recipe, images, labels, seed=3)
    before = learner.classifier.predict_proba(images)
    learner.train_epoch(0, lambda step, loss, accuracy: None)
    expected = learner.classifier.predict_proba(images)
    assert not np.allclose(before, expected, atol=1e-3)
    first = learner.classifier.first_layer_weights()
    assert first is not None
    assert np.array_equal(first, dct_filters(3)[:, :, 0].transpose(2, 0, 1))
    assert isinstance(learner.classifier, KerasClassifier)
    learner.classifier.save(tmp_path)
    assert np.allclose(load_classifier(tmp_path).predict_proba(images), expected, atol=1e-6)
