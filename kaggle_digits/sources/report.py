"""What a fetch left in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.data.dataset import (
    FILES,
    KAGGLE,
    KAGGLE_SHA256,
    OPENML,
    SAMPLE,
    SAMPLE_SOURCE,
    TEST,
    TRAIN,
)
from kaggle_digits.data.digits import read_test, read_train
from kaggle_digits.data.submission_csv import read_ids


@dataclass(frozen=True)
class FetchedFile:
    """One of the three files; ``already`` says that it stood there and was left as it was."""

    name: str
    sha256: str
    bytes: int
    rows: int
    already: bool


@dataclass(frozen=True)
class FetchReport:
    """What is in the data folder now.

    Attributes:
        source: as recorded: ``kaggle``, ``sample``, ``openml`` or a path.
        folder: the data folder.
        files: the three files.
        warnings: one line each.
    """

    source: str
    folder: Path
    files: tuple[FetchedFile, ...]
    warnings: tuple[str, ...] = ()


def report(folder: Path, source: str, found: dict[str, str], good: dict[str, str]) -> FetchReport:
    """Describe what is in ``folder``: hashes ``found``, of which ``good`` were there before."""
    rows = {
        TRAIN: len(read_train(folder / TRAIN)),
        TEST: len(read_test(folder / TEST)),
        SAMPLE: len(read_ids(folder / SAMPLE)),
    }
    files = tuple(
        FetchedFile(name, found[name], (folder / name).stat().st_size, rows[name], name in good)
        for name in FILES
    )
    return FetchReport(source, folder, files, tuple(_warnings(source, found)))


def _warnings(source: str, found: dict[str, str]) -> list[str]:
    if source == KAGGLE:
        return [
            f"{name} is not the file Kaggle served before (sha256 {digest[:12]}…, "
            f"was {KAGGLE_SHA256[name][:12]}…): Kaggle may have issued it anew"
            for name, digest in found.items()
            if digest != KAGGLE_SHA256[name]
        ]
    if source == OPENML:
        return [
            "openml's rows contain the competition's test images: "
            "a run trained on them cannot be submitted"
        ]
    if source == SAMPLE_SOURCE:
        return []
    return ["these are not Kaggle's files: a run trained on them cannot be submitted"]
