"""The embedding that the bottleneck study saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import load
from kaggle_digits.inference.embedding import FOLDER, POINTS_FILE, load_embedding
from kaggle_digits.studies.runner import find_study, run_study
from kaggle_digits.studies.study import Context


def test_saved_embedding_separates_digits(sample: Path, tmp_path: Path) -> None:
    dataset = load(sample)
    run_study(find_study("bottleneck"), Context(dataset, quick=True), tmp_path)
    embedding = load_embedding(tmp_path)
    assert embedding is not None
    assert embedding.points.shape == (len(embedding.labels), 2)
    medians = np.stack(
        [np.median(embedding.points[embedding.labels == d], axis=0) for d in range(10)]
    )
    positions = np.array([embedding.transform(image) for image in dataset.train.images[:100]])
    nearest = np.linalg.norm(positions[:, None] - medians, axis=2).argmin(axis=1)
    assert (nearest == dataset.labels[:100]).mean() > 0.5


def test_missing_or_damaged_embedding_is_none(tmp_path: Path) -> None:
    assert load_embedding(tmp_path) is None
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / POINTS_FILE).write_bytes(b"damaged")
    assert load_embedding(tmp_path) is None
