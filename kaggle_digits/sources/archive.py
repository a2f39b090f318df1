"""The three files out of a downloaded archive or a folder, whatever they are packed in."""

from __future__ import annotations

import errno
import gzip
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from kaggle_digits.core.atomic_io import atomic_write
from kaggle_digits.core.errors import DataError
from kaggle_digits.data.dataset import FILES

# train.csv has 77 MB; a file that unpacks to more than this is no CSV of the competition.
LARGEST = 512 << 20
CHUNK = 1 << 20
LOCKED = 0x1
# As Kaggle and every common program pack; the others' memory cannot be bounded beforehand.
WAYS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
DAMAGE = (
    *(zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError),
    *(struct.error, ValueError, IndexError, OverflowError),  # of zipfile, on invented headers
)


class Readable(Protocol):
    """Bytes, a piece at a time."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


def extract_csvs(path: Path, folder: Path) -> None:
    """Copy or unpack train.csv, test.csv and sample_submission.csv from ``path`` to ``folder``.

    Args:
        path: a zip with the three files, or a folder that holds each as .csv, .csv.zip or
            .csv.gz.
        folder: where they go; must exist.

    Raises:
        DataError: a file is missing or damaged, or the archive is not to be trusted.
        StorageError: the disk is full or not writable.
    """
    if path.is_dir():
        for name in FILES:
            unpack(_in_folder(path, name), name, folder / name)
    elif _is_zip(path):
        with _archive(path) as archive:
            for name in FILES:
                _extract(archive, path, _member(archive, path, name), folder / name)
    else:
        raise DataError(
            f"{path} is neither a folder nor a sound zip archive; download it again from "
            "https://www.kaggle.com/competitions/digit-recognizer/data"
        )


def unpack(packed: Path, name: str, target: Path, *, inner: bool = False) -> None:
    """Write the CSV in ``packed`` (plain, .zip or .gz) to ``target``.

    A zip may hold it packed once more, unless this is such an ``inner`` one.

    Raises:
        DataError: it is damaged, unpacks to too much or is not to be trusted.
        StorageError: the disk is full or not writable.
    """
    if packed.suffix == ".zip":
        with _archive(packed) as archive:
            _extract(archive, packed, _member(archive, packed, name), target, inner=inner)
        return
    with (
        _explained(packed),
        gzip.open(packed) if packed.suffix == ".gz" else packed.open("rb") as source,
    ):
        _copy(source, packed, target)


def _in_folder(folder: Path, name: str) -> Path:
    for suffix in ("", ".zip", ".gz"):
        if (path := folder / f"{name}{suffix}").is_file():
            return path
    raise DataError(f"{folder} has no {name} (nor {name}.zip or {name}.gz)")


def _is_zip(path: Path) -> bool:
    with _explained(path):  # it may be one that is_zipfile itself stumbles over
        return zipfile.is_zipfile(path)


def _archive(path: Path) -> zipfile.ZipFile:
    """Open a zip after looking at every name in it, also those we do not need."""
    with _explained(path):
        archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        name = PurePosixPath(member.filename.replace("\\", "/"))
        outside = name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1])
        link = stat.S_ISLNK(member.external_attr >> 16)
        if outside or link:
            archive.close()
            what = "a link" if link else "a name that leads outside"
            raise DataError(
                f"{path} holds {what} ({ascii(member.filename)[:60]}): not Kaggle's archive; "
                "download it from https://www.kaggle.com/competitions/digit-recognizer/data"
            )
    return archive


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    found = [
        member
        for member in archive.infolist()
        if PurePosixPath(member.filename).name in (name, f"{name}.zip", f"{name}.gz")
        and "__MACOSX" not in member.filename
    ]
    if len(found) != 1:
        number = "no" if not found else "more than one"
        raise DataError(f"{path} holds {number} {name}; expected are {', '.join(FILES)}")
    return found[0]


def _extract(
    archive: zipfile.ZipFile,
    path: Path,
    member: zipfile.ZipInfo,
    target: Path,
    *,
    inner: bool = False,
) -> None:
    if member.flag_bits & LOCKED:
        raise DataError(f"{path} is locked with a password; unpack it and give the folder")
    if member.file_size > LARGEST:
        raise _too_large(path, member.filename)
    if member.compress_type not in WAYS:
        raise DataError(f"{path} is packed in an uncommon way; unpack it and give the folder")
    kind = PurePosixPath(member.filename).suffix
    if kind != ".csv" and inner:  # it may hold itself, without end
        raise DataError(f"{path} holds archives in archives; unpack it and give the folder")
    place = target if kind == ".csv" else target.with_name(f"{target.name}{kind}")
    with _explained(path), archive.open(member) as source:
        _copy(source, path, place)
    if place != target:
        try:
            unpack(place, target.name, target, inner=True)
        finally:
            place.unlink()


def _copy(source: Readable, path: Path, target: Path) -> None:
    """Copy at most LARGEST bytes: a header's word on the size is not taken."""
    written = 0
    with atomic_write(target, durable=False) as part, part.open("wb") as out:
        while piece := source.read(CHUNK):
            written += len(piece)
            if written > LARGEST:
                raise _too_large(path, target.name)
            out.write(piece)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise _damaged(path) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise _damaged(path) from error  # a header that points before the file's beginning


def _too_large(path: Path, name: str) -> DataError:
    return DataError(
        f"{ascii(name)[:60]} in {path} unpacks to more than {LARGEST >> 20} MB: not the "
        "competition's file; download it again from Kaggle"
    )


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path} is damaged or cut short; download it again from "
        "https://www.kaggle.com/competitions/digit-recognizer/data"
    )
