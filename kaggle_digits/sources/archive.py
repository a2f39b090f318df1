"""Take the three CSV files from a downloaded archive or from a folder."""

import contextlib
import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from kaggle_digits.core import zip_extract
from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import FILES

DOWNLOAD_PAGE = "https://www.kaggle.com/competitions/digit-recognizer/data"
MAX_SIZE = 512 << 20  # bytes of one uncompressed file; train.csv has 77 MB


def extract_csvs(path: Path, folder: Path) -> None:
    """Copy or extract train.csv, test.csv and sample_submission.csv from ``path`` to ``folder``.

    ``path`` is a zip with the three files, or a folder that has each as .csv, .csv.zip or .csv.gz.
    Raises DataError if a file is missing, damaged or not safe to extract; StorageError if the disk
    is full or not writable.
    """
    if path.is_dir():
        for name in FILES:
            candidates = (path / f"{name}{suffix}" for suffix in ("", ".zip", ".gz"))
            if not (packed := next((one for one in candidates if one.is_file()), None)):
                fault = f"{path} has no {name} (nor {name}.zip or {name}.gz)"
                raise DataError(f"{fault}; download it from {DOWNLOAD_PAGE}")
            unpack(packed, name, folder / name)
        return
    with _archive_errors(path), zip_extract.damage_as_archive_error():  # is_zipfile may fail, too
        is_zip = zipfile.is_zipfile(path)
    if not is_zip:
        fault = f"{path} is neither a folder nor a complete zip archive"
        raise DataError(f"{fault}; download it again from {DOWNLOAD_PAGE}")
    with _archive_errors(path), zip_extract.open_zip(path) as archive:
        for name in FILES:
            _extract_csv(archive, path, name, folder / name)


def unpack(packed: Path, name: str, target: Path) -> None:
    """Write the CSV ``name`` in ``packed`` (plain, .zip or .gz) to ``target``.

    Raises DataError if it is damaged, too large or not safe to extract.
    """
    with _archive_errors(packed):
        if packed.suffix == ".zip":
            with zip_extract.open_zip(packed) as archive:
                _extract_csv(archive, packed, name, target)
            return
        with (
            zip_extract.damage_as_archive_error(),
            gzip.open(packed) if packed.suffix == ".gz" else packed.open("rb") as source,
        ):
            zip_extract.copy_limited(source, target, max_size=MAX_SIZE)


def _extract_csv(
    archive: zipfile.ZipFile, path: Path, name: str, target: Path, *, nested: bool = False
) -> None:
    """Extract the CSV ``name``, which may be compressed once more inside the archive."""
    member = _find_member(archive, path, name)
    suffix = PurePosixPath(member.filename).suffix
    if suffix == ".csv":
        zip_extract.extract(archive, member, target, max_size=MAX_SIZE)
        return
    if nested:  # an archive may contain itself
        raise zip_extract.ArchiveError("contains archives in archives")
    packed = target.with_name(f"{target.name}{suffix}")
    zip_extract.extract(archive, member, packed, max_size=MAX_SIZE)
    try:
        if suffix == ".zip":
            with zip_extract.open_zip(packed) as inner:
                _extract_csv(inner, path, name, target, nested=True)
        else:
            unpack(packed, name, target)
    finally:
        packed.unlink()


def _find_member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if PurePosixPath(member.filename).name in (name, f"{name}.zip", f"{name}.gz")
        and "__MACOSX" not in member.filename
    ]
    if len(members) != 1:
        fault = f"{path} contains {'more than one' if members else 'no'} {name}"
        raise DataError(f"{fault}; download it with {', '.join(FILES)} from {DOWNLOAD_PAGE}")
    return members[0]


@contextlib.contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except zip_extract.ArchiveError as error:
        raise DataError(
            f"{path} {error}; download it again from {DOWNLOAD_PAGE}, or unpack it yourself and "
            "give the folder"
        ) from error
