"""The real fetch_openml against an OpenML on the loopback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.competition.sources import fetch, from_openml
from kaggle_digits.data.folder import load
from kaggle_digits.errors import DataError, KaggleError
from tests.fakes.openml_server import FakeOpenML


def point_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    from sklearn.datasets import _openml

    for name, value in vars(_openml).copy().items():
        if isinstance(value, str) and value.startswith("https://") and name.isupper():
            monkeypatch.setattr(_openml, name, value.replace("https://www.openml.org/", url))
    real = from_openml.write_openml
    monkeypatch.setattr(
        "kaggle_digits.competition.sources.into_folder.write_openml",
        lambda folder: real(folder, tries=1, pause=0.01),
    )


def test_dealt_as_kaggle_dealt(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenML(rows=50) as server:
        point_at(monkeypatch, server.url)
        report = fetch("openml", tmp_path / "data")
    assert [file.rows for file in report.files] == [30, 20, 20]
    assert "cannot be submitted" in report.warnings[0]
    dataset = load(tmp_path / "data")
    assert not dataset.source.is_competition
    # Every digit is there once, and the labelled ones with their own label.
    by_pixels = {row.astype(np.uint8).tobytes(): n for n, row in enumerate(server.pixels)}
    found = [by_pixels[image.tobytes()] for image in dataset.train.images]
    assert (server.labels[found] == dataset.labels).all()
    found += [by_pixels[image.tobytes()] for image in dataset.test.images]
    assert sorted(found) == list(range(50))
    assert not (tmp_path / "data" / ".fetch").exists()
    assert list(home.iterdir()) == []  # nothing is left in scikit-learn's own cache


def test_values_outside(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenML(highest=300) as server:
        point_at(monkeypatch, server.url)
        with pytest.raises(DataError, match="outside"):
            fetch("openml", tmp_path / "data")
    assert not list((tmp_path / "data").glob("*.csv"))


@pytest.mark.parametrize("status", [404, 500])
def test_server_errors(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with FakeOpenML(status=status) as server:
        point_at(monkeypatch, server.url)
        with pytest.raises(KaggleError, match=r"OpenML cannot be reached.*sample"):
            fetch("openml", tmp_path / "data")


def test_no_network(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "http://127.0.0.1:9/")
    with pytest.raises(KaggleError, match=r"OpenML cannot be reached \(.*refused"):
        fetch("openml", tmp_path / "data")
