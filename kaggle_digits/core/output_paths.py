"""Paths that a user names for output: free of the toolkit's own names and of existing files."""

from __future__ import annotations

import os
import shutil
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaggle_digits.core.atomic_io import backup_existing, wrap_os_errors
from kaggle_digits.core.errors import DigitsError, UsageError

# Used in any folder: the log of submissions, and the folders beside the runs.
RESERVED = {"log.csv", "tuning", "studies"}
# Windows opens a device for these names, whatever their suffix.
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}
# Used in the folders of data, of a run, of a search and of a study. OWN_FOLDERS: a file that marks
# such a folder, the depth below it, and the names.
DATA = ("train.csv", "test.csv", "sample_submission.csv", "source.json")
RUN = {"config.json", "metrics.json", "history.csv", "oof.npy", "test.npy", "pseudo.npy"}
RUN |= {"members", "figures", "events", "report.html", "label-errors.csv", "label-errors.png"}
RUN |= {"runs", "stack.npy", "extra.npy"}
MEMBER = {"member.json", "validation.npy", "first_layer.npy", "checkpoint.npz"}
MEMBER |= {"model.keras", "model.skops", "model.joblib", "model.tflite"}
SEARCH = {"journal.log", "study.db", "best.json", "importance.png", "slice.png"}
STUDY = {"table.csv", "index.html", "points.npz"}
OWN_FOLDERS: tuple[tuple[str, int, set[str]], ...] = (
    *((marker, 1, {*DATA, "figures"}) for marker in DATA),
    ("config.json", 3, RUN | MEMBER),
    ("journal.log", 1, SEARCH),
    ("index.html", 1, STUDY),
)

CHOOSE_OR_FORCE = "give another name, or `force=True` to back up the old one"


def normalize(name: str) -> str:
    """Return the form in which file systems that ignore case or Unicode form compare names."""
    return unicodedata.normalize("NFKC", name).casefold().rstrip(". ")


def reject_reserved(path: Path) -> None:
    """Raise UsageError if the toolkit itself, or Windows, uses the name of ``path`` there."""
    name = normalize(path.name)
    if name.partition(".")[0] in DEVICES:
        raise UsageError(f"{path}: {path.name} is a device of Windows; choose another name")
    folders = path.absolute().parents
    if name in RESERVED or any(
        (name in names or name.startswith("."))
        and any((folder / marker).exists() for folder in folders[:depth])
        for marker, depth, names in OWN_FOLDERS
    ):
        raise UsageError(f"{path}: kd itself uses the name {path.name}; choose another one")


def check_output(
    path: Path,
    *beside: Path,
    folder: bool = False,
    force: bool = False,
    error: type[DigitsError] = UsageError,
    advice: str = CHOOSE_OR_FORCE,
) -> None:
    """Check that the file or ``folder`` ``path``, and the files ``beside`` it, may be written.

    UsageError: the toolkit uses one of the names. ``error``: one exists and ``force`` is not given,
    or a folder stands where a file is needed, or the other way round; ``advice`` says what to do if
    one exists.
    """
    if path.exists() and not path.is_file() and not (folder and path.is_dir()):
        raise error(f"{path} is {'a folder' if path.is_dir() else 'a device'}; name a file")
    for each in (path, *beside):
        reject_reserved(each)
        if os.path.lexists(each) and not force:
            raise error(f"{each} already exists; {advice}")
    above = next((folder for folder in path.parents if folder.exists()), path.parent)
    if above.exists() and not above.is_dir():
        raise error(f"{path} cannot be written: {above} is a file, not a folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; rename it to ``folder`` when the block succeeds.

    An existing ``folder`` is backed up first; see ``check_output``. Raises StorageError if it
    cannot be written.
    """
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with wrap_os_errors(folder):
            part.mkdir(parents=True)
            yield part
            back_up(folder)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def back_up(path: Path, *beside: Path) -> None:
    """Rename those of the files that exist to <name>-old-<k>, with the same number k."""
    if existing := [each for each in (path, *beside) if os.path.lexists(each)]:
        backup_existing(*existing)
