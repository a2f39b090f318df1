from __future__ import annotations

from pathlib import Path

import numpy as np

from kaggle_digits.data.dataset import load
from kaggle_digits.sources.fetch import fetch


def test_sample_has_the_competition_format(data: Path) -> None:
    report = fetch("sample", data)
    assert [file.rows for file in report.files] == [1078, 719, 719]
    assert report.warnings == ()
    dataset = load(data)
    assert dataset.source.source == "sample"
    assert not dataset.source.is_competition
    assert (data / "train.csv").read_bytes().count(b"\r\n") == 1079
    images = dataset.train.images
    assert images.max() == 255
    # Centred like MNIST's digits.
    mass = images.sum(axis=0)
    rows = np.arange(28)
    assert abs((mass.sum(axis=1) @ rows) / mass.sum() - 13.5) < 0.3
    assert (np.bincount(dataset.labels) > 80).all()
    submission = (data / "sample_submission.csv").read_bytes()
    assert submission.startswith(b"ImageId,Label\r\n1,0\r\n2,0\r\n")


def test_sample_is_always_the_same(sample: Path, data: Path) -> None:
    names = [file.name for file in fetch("sample", data).files]
    assert len(names) == 3
    assert all((data / name).read_bytes() == (sample / name).read_bytes() for name in names)
    (data / "train.csv").write_text("damaged")
    assert [f.unchanged for f in fetch("sample", data).files] == [False, True, True]
    assert all((data / name).read_bytes() == (sample / name).read_bytes() for name in names)
