"""Extract files from zip archives that may be damaged or made to do harm."""

import contextlib
import errno
import gzip
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from kaggle_digits.core.atomic_io import atomic_write

CHUNK_SIZE = 1 << 20
ENCRYPTED = 0x1
# The decompressors of the other methods may need any amount of memory.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# zipfile raises the last four for invalid headers.
DAMAGE_ERRORS = (
    *(zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError),
    *(struct.error, ValueError, IndexError, OverflowError),
)


class ArchiveError(Exception):
    """An archive that cannot or must not be extracted; the text follows its name: "is damaged"."""


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive whose names all lead into the folder it is extracted to.

    Raises ArchiveError if it is damaged or contains a link or a name that leads outside.
    """
    with damage_as_archive_error():
        archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        name = PurePosixPath(member.filename.replace("\\", "/"))
        outside = name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1])
        mode = member.external_attr >> 16
        special = stat.S_IFMT(mode) and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
        if outside or special:
            archive.close()
            what = "a link or device" if special else "a name that leads outside"
            raise ArchiveError(f"contains {what} ({ascii(member.filename)[:60]})")
    return archive


def extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, *, max_size: int
) -> None:
    """Write one file of an archive from ``open_zip`` to ``target``, completely or not at all.

    Raises ArchiveError if it is damaged, encrypted, larger than ``max_size`` bytes or uses an
    unusual compression; StorageError if the disk is full or not writable.
    """
    if member.flag_bits & ENCRYPTED:
        raise ArchiveError("is encrypted")
    if member.compress_type not in METHODS:
        raise ArchiveError("uses an unusual compression method")
    if member.file_size > max_size:
        raise _too_large(member.filename, max_size)
    with damage_as_archive_error(), archive.open(member) as source:
        copy_limited(source, target, max_size=max_size)


def copy_limited(source: IO[bytes] | io.BufferedIOBase, target: Path, *, max_size: int) -> None:
    """Copy ``source`` to ``target``; raise ArchiveError if it has more than ``max_size`` bytes.

    The size in the archive's header is not trusted.
    """
    size = 0
    with atomic_write(target, durable=False) as part, part.open("wb") as out:
        while chunk := source.read(CHUNK_SIZE):
            size += len(chunk)
            if size > max_size:
                raise _too_large(target.name, max_size)
            out.write(chunk)


@contextlib.contextmanager
def damage_as_archive_error() -> Iterator[None]:
    """Raise ArchiveError for the exceptions that zipfile and gzip raise for damaged files."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise ArchiveError("is damaged or incomplete") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: a header points before the start of the file
            raise
        raise ArchiveError("is damaged or incomplete") from error


def _too_large(name: str, max_size: int) -> ArchiveError:
    return ArchiveError(
        f"contains {ascii(name)[:60]}, which unpacks to more than {max_size:,} bytes"
    )
