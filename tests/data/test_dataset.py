"""Data folders and DataFrames become the same dataset."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggle_digits.core.errors import DataError
from kaggle_digits.data import dataset as module
from kaggle_digits.data.dataset import Dataset, from_frames
from kaggle_digits.data.digits import to_images


@pytest.fixture
def frames(sample: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sample's train.csv and test.csv as pandas reads them."""
    return pd.read_csv(sample / "train.csv"), pd.read_csv(sample / "test.csv")


def test_frames_are_the_same_as_the_files(
    frames: tuple[pd.DataFrame, pd.DataFrame], dataset: Dataset
) -> None:
    train, test = frames
    made = from_frames(train[train.columns[::-1]], test.astype(float))
    assert np.array_equal(made.train.images, dataset.train.images)
    assert np.array_equal(made.test.images, dataset.test.images)
    assert np.array_equal(made.labels, dataset.labels)
    assert np.array_equal(made.ids, dataset.ids)
    # So a run trained on one can be used with the other.
    assert made.train.sha256 == dataset.train.sha256
    assert made.test.sha256 == dataset.test.sha256
    assert made.source.source == "unknown"


def test_frames_of_kaggles_files_may_be_submitted(
    frames: tuple[pd.DataFrame, pd.DataFrame], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = {"train.csv": dataset.train.sha256, "test.csv": dataset.test.sha256}
    monkeypatch.setattr(module, "KAGGLE_SHA256", hashes)
    assert from_frames(*frames).source.is_competition


def test_wrong_frames_are_explained(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    train, test = frames
    with pytest.raises(DataError, match="the train DataFrame has no column label"):
        from_frames(test, test)
    with pytest.raises(DataError, match="the test DataFrame has no rows"):
        from_frames(train, test[:0])
    bad = train.copy()
    bad.loc[3, "label"] = 10
    with pytest.raises(DataError, match=r"the labels hold 10 at \[3\]; expected .* 0 to 9"):
        from_frames(bad, test)
    bad = test.astype(float)
    bad.iloc[2, 5] = np.nan
    with pytest.raises(DataError, match=r"test DataFrame hold nan at \[2, 5\]; .* 0 to 255"):
        from_frames(train, bad)


def test_images_of_any_form(dataset: Dataset) -> None:
    images = dataset.test.images[:4]
    flat = images.reshape(4, -1)
    for pixels in (images, flat, flat.astype(float), flat.tolist(), pd.DataFrame(flat)):
        assert np.array_equal(to_images(pixels), images)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 785)), r"shape \(2, 785\); expected .*; without the column label"),
        (np.zeros((28, 28)), r"shape \(28, 28\); expected \(n, 28, 28\)"),
        (np.full((1, 784), 0.5), r"hold 0.5 at \[0, 0\]; expected whole numbers 0 to 255"),
        (np.full((1, 784), -1), "hold -1 at"),
        (np.full((1, 784), "a"), "are not numbers"),
    ],
)
def test_other_images_are_explained(pixels: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_images(pixels)


def test_a_dataset_shows_itself_in_a_few_lines(dataset: Dataset) -> None:
    text = io.StringIO(repr(dataset)).readlines()
    assert text[0] == "Dataset sample\n"
    assert "1,078 labelled images" in text[1]
    assert len(text) == 4
    assert "<td" in dataset._repr_html_()
