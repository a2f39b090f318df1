"""The plane that the bottleneck study leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import load
from kaggle_digits.inference.embedding import FOLDER, POINTS_FILE, load_embedding
from kaggle_digits.studies.runner import find_study, run_study
from kaggle_digits.studies.study import Context


def test_the_study_leaves_a_plane_that_places_digits(sample: Path, tmp_path: Path) -> None:
    dataset = load(sample)
    run_study(find_study("bottleneck"), Context(dataset, quick=True), tmp_path)
    plane = load_embedding(tmp_path)
    assert plane is not None
    assert plane.points.shape == (len(plane.labels), 2)
    middles = np.stack([np.median(plane.points[plane.labels == d], axis=0) for d in range(10)])
    placed = np.array([plane.transform(image) for image in dataset.train.images[:100]])
    nearest = np.linalg.norm(placed[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == dataset.labels[:100]).mean() > 0.5


def test_without_the_study_or_with_half_of_it_there_is_none(tmp_path: Path) -> None:
    assert load_embedding(tmp_path) is None
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / POINTS_FILE).write_bytes(b"damaged")
    assert load_embedding(tmp_path) is None
