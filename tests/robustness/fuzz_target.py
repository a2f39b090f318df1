"""One fuzz target in a process of its own, started by tests.robustness.fuzz.

python -m tests.robustness.fuzz_target TARGET FOLDER [libFuzzer's options]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

COLUMNS, HIGHEST = ["label", "p0", "p1"], [9, 255, 255]
Target = Callable[[bytes], None]


def csv_target(folder: Path) -> Target:
    """Fuzz the CSV reader with three columns and compare with the slow reader."""
    from kaggle_digits.core.errors import DataError
    from kaggle_digits.data.csv_reader import read_int_csv
    from tests.robustness import slow_csv

    path = Path("train.csv")

    def target(data: bytes) -> None:
        if not data.strip():
            return
        expected = slow_csv.read(data, COLUMNS, HIGHEST)
        try:
            found = read_int_csv(
                path, data, dict(zip(COLUMNS, HIGHEST, strict=True)), np.uint8
            ).tolist()
        except DataError as error:
            said = str(error)
            assert said.startswith("train.csv") and said.isprintable(), said
            assert isinstance(expected, slow_csv.Fault), f"valid, but refused: {said}"
            if expected.line is not None:
                assert f"line {expected.line}" in said, f"line {expected.line}: {said}"
            if expected.column is not None:
                assert f"column {expected.column}" in said, f"{expected.column}: {said}"
        else:
            assert found == expected, f"{found} instead of {expected}"

    return target


def picture_target(folder: Path) -> Target:
    """Fuzz the picture reader of kd classify."""
    from kaggle_digits.core.errors import DataError
    from kaggle_digits.imaging.loading import open_picture, prepare

    def target(data: bytes) -> None:
        try:
            picture = open_picture(data, "x")
        except DataError as error:
            assert "\n" not in str(error)
            return
        image = prepare(picture).image
        assert image.shape == (28, 28) and image.dtype == np.uint8

    return target


def archive_target(folder: Path) -> Target:
    """Fuzz the archive reader of kd fetch --source."""
    from kaggle_digits.core.errors import DataError
    from kaggle_digits.sources.archive import extract_csvs

    archive, inside = folder / "x.zip", folder / "inside"
    inside.mkdir(exist_ok=True)
    beside = {archive, inside}

    def target(data: bytes) -> None:
        archive.write_bytes(data)
        try:
            extract_csvs(archive, inside)
        except DataError as error:
            assert "\n" not in str(error)
        assert set(folder.iterdir()) == beside, "something was written outside"
        for path in inside.iterdir():
            path.unlink()

    return target


TARGETS = {"csv": csv_target, "picture": picture_target, "archive": archive_target}
# Instrumented for coverage; everything else is imported unchanged.
WATCHED = {
    "csv": ["kaggle_digits", "csv", "benchmarks"],
    "picture": ["kaggle_digits", "PIL"],
    "archive": ["kaggle_digits", "zipfile", "gzip"],
}


def main() -> None:
    """Fuzz until libFuzzer's time limit."""
    import atheris
    import scipy.ndimage  # noqa: F401  (not instrumented)

    name, folder, *options = sys.argv[1:]
    for module in ("zipfile", "gzip"):  # already imported, and so not instrumented
        sys.modules.pop(module, None)
    with atheris.instrument_imports(include=WATCHED[name]):
        target = TARGETS[name](Path(folder))
        if name == "picture":
            from PIL import Image

            Image.init()
            import kaggle_digits.imaging.segmentation  # noqa: F401
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
