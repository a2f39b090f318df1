"""Small random files in the competition's format."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.data.dataset import SAMPLE, TEST, TRAIN
from kaggle_digits.data.digits import PIXEL_COLUMNS, PIXELS, TRAIN_COLUMNS


def competition_files(*, n_train: int = 40, n_test: int = 24, seed: int = 0) -> dict[str, bytes]:
    """Return the three CSV files with random pixels and the labels 0 to 9 in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_train) % 10
    train = np.column_stack([labels, rng.integers(0, 256, (n_train, PIXELS))])
    test = rng.integers(0, 256, (n_test, PIXELS))
    ids = np.column_stack([np.arange(1, n_test + 1), np.zeros(n_test, int)])
    return {
        TRAIN: csv_bytes(TRAIN_COLUMNS, train),
        TEST: csv_bytes(PIXEL_COLUMNS, test),
        SAMPLE: csv_bytes(["ImageId", "Label"], ids),
    }


def csv_bytes(columns: list[str], values: np.ndarray) -> bytes:
    """Return a CSV file with CRLF line ends."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in values.tolist())]
    return ("\r\n".join(lines) + "\r\n").encode()


def data_folder(folder: Path, *, source: str = "kaggle", seed: int = 0, n_train: int = 40) -> Path:
    """Create a data folder as ``kd fetch`` does."""
    folder.mkdir(parents=True, exist_ok=True)
    files = competition_files(n_train=n_train, seed=seed)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hashes = {name: sha256(folder / name) for name in files}
    record = {"source": source, "fetched": "2026-11-20T10:00:00+00:00", "sha256": hashes}
    (folder / "source.json").write_text(json.dumps(record))
    return folder


def submission(
    path: Path, *, source: str | None = "kaggle", run: str = "dense-1", first: int = 0
) -> Path:
    """Create a submission for those files, with its origin file unless ``source`` is None."""
    labels = (np.arange(24) + first) % 10
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.column_stack([np.arange(1, 25), labels])
    path.write_bytes(csv_bytes(["ImageId", "Label"], table))
    if source is not None:
        origin = {
            "sha256": sha256(path),
            "runs": [run],
            "method": "run",
            "source": source,
            "accuracy": 0.9765,
            "n_val": 8400,
            "made": "2026-11-20T10:00:00+00:00",
        }
        path.with_suffix(".json").write_text(json.dumps(origin))
    return path


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip archive of the files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
