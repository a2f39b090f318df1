"""Download the competition's files with the Kaggle API."""

from __future__ import annotations

import shutil
from pathlib import Path

from kaggle_digits.core.errors import DataError, KaggleError, StorageError
from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api.client import CompetitionClient, RemoteFile
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.sources.archive import unpack


def download_files(
    names: list[str], folder: Path, policy: RetryPolicy | None, progress: Progress
) -> None:
    """Download ``names`` into ``folder``, uncompressed and with the size that Kaggle lists.

    An interrupted download stays in ``folder``; the next call resumes it. Raises KaggleError if
    Kaggle could not be reached or did not send the files, StorageError if the disk is full.
    """
    kaggle = CompetitionClient(policy=policy, progress=progress)
    progress.note(f"using the {kaggle.credential}")
    remote_files = {file.name.removesuffix(".zip"): file for file in kaggle.list_files()}
    for name in names:
        if name not in remote_files:
            raise KaggleError(
                f"Kaggle lists no {name} (but {', '.join(sorted(remote_files))}); download it in a "
                "browser and: kd fetch --source FOLDER"
            )
    needed = sum(remote_files[name].size for name in names)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder.parent} has {free >> 20:,} MB free but {needed >> 20:,} MB are needed; "
            "free some or choose another --data-dir"
        )
    for name in names:
        target, file = folder / name, remote_files[name]
        # A call that failed at a later file may have left this one complete.
        if not target.is_file() or target.stat().st_size != file.size:
            _download(kaggle, file, target)


def _download(kaggle: CompetitionClient, file: RemoteFile, target: Path) -> None:
    downloaded = kaggle.download_file(file, target.parent)
    if downloaded == target:
        return
    try:
        unpack(downloaded, target.name, target)
    except DataError as error:
        raise KaggleError(
            f"{downloaded.name} as sent by Kaggle cannot be unpacked; run it again: kd fetch"
        ) from error
    finally:
        packed_size = downloaded.stat().st_size
        downloaded.unlink()
    size = target.stat().st_size
    if file.size not in (0, size, packed_size):
        target.unlink()
        raise KaggleError(
            f"{target.name} unpacks to {size:,} bytes but Kaggle lists {file.size:,}; run it "
            "again: kd fetch"
        )
