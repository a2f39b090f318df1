"""The data folder: the three files of the competition and source.json, their recorded source."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import read_json, write_json
from kaggle_digits.core.errors import DataError
from kaggle_digits.core.platforms import is_kaggle_input, working_folder
from kaggle_digits.core.summary import Summary
from kaggle_digits.data import digits
from kaggle_digits.data.digits import CLASSES, PIXEL_COLUMNS, PIXELS, TRAIN_COLUMNS, Digits
from kaggle_digits.data.submission_csv import read_ids

if TYPE_CHECKING:
    import pandas as pd

TRAIN, TEST, SAMPLE = "train.csv", "test.csv", "sample_submission.csv"
FILES = (TRAIN, TEST, SAMPLE)
RECORD = "source.json"
# Kaggle's files, unchanged since 2019-12-11.
KAGGLE_SHA256 = {
    TRAIN: "b35cc952c291f03d995f48721373e69454f689e299d724bd9a5927bdabddfeed",
    TEST: "3353d136e718a01b18f4e2097d2f0bbd2676e5887b75b9497e35d34e90820013",
    SAMPLE: "6ebaa8f99662433c2ad4fee65c76d8eb12ad627c3d2de1901704712e31bc0d9a",
}
# Values of Source.source, besides the path of an archive or folder.
KAGGLE, SAMPLE_SOURCE, OPENML, UNKNOWN = "kaggle", "sample", "openml", "unknown"


@dataclass(frozen=True)
class Source:
    """Where the files in a data folder came from, as recorded in source.json.

    ``source`` is ``kaggle`` (downloaded from Kaggle, or equal to Kaggle's files byte for byte),
    ``sample``, ``openml``, a path, or ``unknown`` if nothing is recorded or the files have changed.
    """

    source: str
    fetched: str = ""  # when, ISO 8601 with time zone
    sha256: dict[str, str] = field(default_factory=dict)  # file name → hash of its bytes

    @property
    def is_competition(self) -> bool:
        """Whether predictions of a model trained on these files may be submitted."""
        return self.source == KAGGLE


@dataclass(frozen=True, repr=False)
class Dataset(Summary):
    """The contents of a data folder.

    ``ids``, (n_test,) int64, are the ImageIds of ``test``, as in sample_submission.csv.
    """

    train: Digits
    test: Digits
    ids: NDArray[np.int64]
    source: Source

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(n_train,) uint8, the training labels."""
        if self.train.labels is None:
            raise DataError("the training digits have no labels")
        return self.train.labels

    def summary(self) -> dict[str, str]:
        """Return the source, the numbers of images and the rows of each digit, as texts."""
        counts = np.bincount(self.labels, minlength=CLASSES)
        return {
            "Dataset": self.source.source,
            "train": f"{len(self.train):,} labelled images of 28 × 28 pixels",
            "test": f"{len(self.test):,} images",
            "labels": ", ".join(f"{digit}: {count:,}" for digit, count in enumerate(counts)),
        }


def load(data_dir: Path | str = "data") -> Dataset:
    """Read and check the three files in ``data_dir``.

    Raises DataError, which names file, line and column, if one is missing or has the wrong form.
    """
    folder = Path(data_dir)
    if missing := missing_files(folder):
        advice = "`kd.fetch()` (or `kd.fetch('sample')`, which needs no account)"
        if working_folder() is not None:
            advice = f'"Add Input" at the right, Digit Recognizer; or {advice}'
        raise DataError(f"{', '.join(missing)} not found in {folder}; get the data with: {advice}")
    train, test = digits.read_train(folder / TRAIN), digits.read_test(folder / TEST)
    ids = load_ids(folder)
    if len(ids) != len(test):
        fault = f"{folder / SAMPLE} has {len(ids)} rows but {folder / TEST} has {len(test)}"
        raise DataError(f"{fault}; they are from different data sets: `kd.fetch(force=True)`")
    return Dataset(train, test, ids, source_of(folder, train.sha256, test.sha256))


def missing_files(folder: Path) -> list[str]:
    """Return which of FILES are needed and missing.

    In the input of a Kaggle notebook, somebody's copy of the other two needs no SAMPLE.
    """
    missing = [name for name in FILES if not (folder / name).exists()]
    return [] if missing == [SAMPLE] and is_kaggle_input(folder) else missing


def load_ids(folder: Path) -> NDArray[np.int64]:
    """Return the ImageIds of SAMPLE, (n_test,) int64; 1, 2, … if that is missing."""
    if (folder / SAMPLE).exists():
        return read_ids(folder / SAMPLE)
    return np.arange(1, len(digits.read_test(folder / TEST)) + 1)


def from_frames(train: "pd.DataFrame", test: "pd.DataFrame") -> Dataset:
    """Make a dataset of two DataFrames with the columns of train.csv and test.csv, in any order.

    A run trained on it is the same as one trained on files with these rows. DataError: a column is
    missing, or a value is not a label from 0 to 9 or a pixel from 0 to 255.
    """
    parts = []
    for name, frame, columns in (("train", train, TRAIN_COLUMNS), ("test", test, PIXEL_COLUMNS)):
        if missing := [column for column in columns if column not in frame]:
            raise DataError(f"the {name} DataFrame has no column {missing[0]}")
        if frame.empty:
            raise DataError(f"the {name} DataFrame has no rows")
        images = digits.to_images(frame[PIXEL_COLUMNS], f"the pixels of the {name} DataFrame")
        table, labels = images.reshape(len(images), PIXELS), None
        if name == "train":
            labels = digits.to_uint8(frame["label"], CLASSES - 1, "the labels")
            table = np.column_stack([labels, table])
        parts.append(Digits(images, labels, digits.csv_sha256(columns, table)))
    hashes = {file: each.sha256 for file, each in zip((TRAIN, TEST), parts, strict=True)}
    is_kaggle = hashes.items() <= KAGGLE_SHA256.items()
    source = Source(KAGGLE if is_kaggle else UNKNOWN, "", hashes)
    return Dataset(parts[0], parts[1], np.arange(1, len(parts[1]) + 1), source)


def source_of(folder: Path, train_sha256: str, test_sha256: str) -> Source:
    """Return the source of files with these hashes, ``unknown`` unless it was recorded."""
    hashes = {TRAIN: train_sha256, TEST: test_sha256}
    recorded = read_source(folder)
    if hashes.items() <= KAGGLE_SHA256.items():
        return Source(KAGGLE, recorded.fetched if recorded else "", hashes)
    if recorded and hashes.items() <= recorded.sha256.items():
        return recorded
    return Source(UNKNOWN, "", hashes)


def read_source(folder: Path) -> Source | None:
    """Read source.json; None if it is missing or damaged."""
    try:
        content = read_json(folder / RECORD)
        return Source(str(content["source"]), str(content["fetched"]), dict(content["sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_source(folder: Path, source: Source) -> None:
    """Write source.json beside the files."""
    write_json(folder / RECORD, asdict(source))
