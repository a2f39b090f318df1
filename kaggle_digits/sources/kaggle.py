"""The competition's own files, through its API."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from kaggle_digits.core.errors import DataError, KaggleError, StorageError
from kaggle_digits.kaggle_api.client import CompetitionClient, RemoteFile
from kaggle_digits.sources.archive import unpack


def download_files(kaggle: CompetitionClient, names: Iterable[str], folder: Path) -> None:
    """Download ``names`` into ``folder``, unpacked and of the size that Kaggle lists.

    A download cut short is left in ``folder`` and continued by the next call.

    Raises:
        KaggleError: Kaggle could not be reached or did not send them.
        StorageError: the disk is full or not writable.
    """
    listed = {file.name.removesuffix(".zip"): file for file in kaggle.list_files()}
    wanted = []
    for name in names:
        if name not in listed:
            raise KaggleError(
                f"Kaggle lists no {name} (but {', '.join(sorted(listed))}); download it in a "
                "browser and: kd fetch --source FOLDER"
            )
        wanted.append((name, listed[name]))
    _check_space(folder, sum(file.bytes for _, file in wanted))
    for name, file in wanted:
        if (folder / name).is_file() and (folder / name).stat().st_size == file.bytes:
            continue  # whole, from a call that failed at a later file
        _download(kaggle, name, file, folder)


def _download(kaggle: CompetitionClient, name: str, file: RemoteFile, folder: Path) -> None:
    served = kaggle.download(file, folder)
    if served.name == name:
        return
    try:
        unpack(served, name, folder / name)
    except DataError as error:
        raise KaggleError(
            f"what Kaggle sent as {served.name} cannot be unpacked; run it again: kd fetch"
        ) from error
    finally:
        packed_bytes = served.stat().st_size
        served.unlink()
    unpacked = (folder / name).stat().st_size
    if file.bytes not in (0, unpacked, packed_bytes):
        (folder / name).unlink()
        raise KaggleError(
            f"{name} unpacks to {unpacked:,} bytes where Kaggle lists {file.bytes:,}; "
            "run it again: kd fetch"
        )


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder.parent} has {free >> 20:,} MB free but {needed >> 20:,} MB are needed; "
            "free some or choose another --data-dir"
        )
