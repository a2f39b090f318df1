"""Put the three CSV files into the data folder: verified, complete, their source recorded."""

import os
import shutil
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kaggle_digits.core.atomic_io import backup_existing, file_lock, sha256, wrap_os_errors
from kaggle_digits.core.errors import DataError, KaggleError, StorageError, UsageError, did_you_mean
from kaggle_digits.core.platforms import default_folder, is_kaggle_input, own_folder
from kaggle_digits.core.progress import Progress
from kaggle_digits.data import dataset
from kaggle_digits.data.digits import read_test, read_train
from kaggle_digits.data.submission_csv import read_ids
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.sources.archive import extract_csvs, unpack
from kaggle_digits.sources.openml import write_openml
from kaggle_digits.sources.sample import write_sample

LOCK_FILE = ".fetch.lock"
# Functions that write the three files into a folder, by the name of their source.
WRITERS: dict[str, Callable[[Path, RetryPolicy | None], None]] = {
    dataset.SAMPLE_SOURCE: lambda folder, _policy: write_sample(folder),
    dataset.OPENML: write_openml,
}
SOURCES = (dataset.KAGGLE, *WRITERS)


@dataclass(frozen=True)
class FetchedFile:
    """One of the three files; ``unchanged`` if it was valid already and not fetched again."""

    name: str
    sha256: str
    size: int
    rows: int
    unchanged: bool


@dataclass(frozen=True)
class FetchReport:
    """The contents of the data folder after a fetch; ``source`` as recorded in source.json."""

    source: str
    folder: Path
    files: tuple[FetchedFile, ...]
    warnings: tuple[str, ...] = ()


def fetch(
    source: str = dataset.KAGGLE,
    data_dir: Path | str | None = None,
    *,
    force: bool = False,
    policy: RetryPolicy | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Put train.csv, test.csv and sample_submission.csv into a folder, created if missing.

    ``source`` is ``kaggle``, ``sample``, ``openml``, or the path of a zip or folder. ``data_dir``
    is KD_DATA_DIR or ./data by default. In a Kaggle notebook, ``kaggle`` are the files of its
    input, if they were added, where they are; other files go below its working folder.

    New files are read and checked in a staging folder before they are moved into place. Without
    ``force``, valid files are not fetched again, and files of another source are not replaced. A
    replaced file that had changed since it was fetched is renamed to <name>-old-<k>.csv. ``policy``
    has the time-outs for Kaggle and OpenML; ``progress`` receives notes and the progress of
    downloads.

    Raises:
        UsageError: there is no such source.
        DataError: the files are missing, damaged or of another source than those in ``data_dir``.
        KaggleError: Kaggle or OpenML could not be reached or did not send the files.
        StorageError: the disk is full or not writable.
    """
    folder, progress = Path(data_dir or default_folder("data")), progress or Progress()
    if is_kaggle_input(folder) and source != dataset.KAGGLE:
        folder = own_folder("data")
    is_path = source not in SOURCES
    path = _existing_path(source, folder) if is_path else folder
    # Without the lock, so that valid files may be in a read-only folder.
    present, present_source, intact = _inspect(folder)
    is_valid = present_source == source and len(intact) == len(dataset.FILES) and not force
    if is_valid or (is_kaggle_input(folder) and present):
        return _report(folder, present_source, present, present)
    new_folders = [each for each in (folder, *folder.parents) if not each.exists()]
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        busy = DataError(f"another kd fetch is writing to {folder}; wait until it is done")
        with file_lock(folder / LOCK_FILE, busy), _remove_if_failed(new_folders):
            present, present_source, intact = _inspect(folder)
            valid = intact if present_source == source and not force else {}
            must_match = bool(present) and not force
            if must_match and not is_path:
                _check_same_source(folder, present_source, source)
            missing = [name for name in dataset.FILES if name not in valid]
            with _staging(folder, keep=source == dataset.KAGGLE, clear=force) as staging:
                if is_path:
                    extract_csvs(path, staging)
                elif source == dataset.KAGGLE:
                    _download_from_kaggle(missing, staging, policy, progress)
                else:
                    WRITERS[source](staging, policy)
                hashes = valid | {name: sha256(staging / name) for name in missing}
                if is_path:
                    source = dataset.KAGGLE if _is_kaggle(hashes) else str(path)
                    if must_match:
                        _check_same_source(folder, present_source, source)
                unchanged = {n: digest for n, digest in hashes.items() if present.get(n) == digest}
                paths = {n: (folder if n in unchanged else staging) / n for n in dataset.FILES}
                _check_contents(paths, source, staging)
                # Written first, so that a kill between the moves makes the next fetch repeat them.
                now = datetime.now(UTC).isoformat(timespec="seconds")
                dataset.write_source(folder, dataset.Source(source, now, hashes))
                backups = []
                for name, new_path in paths.items():
                    if name not in unchanged:
                        if name in present and name not in intact:
                            # Perhaps changed by the user, who cannot fetch that again.
                            backups.append(backup_existing(folder / name))
                        new_path.replace(folder / name)
            report = _report(folder, source, hashes, unchanged)
            kept = (f"{path} had changed since it was fetched, so it was kept" for path in backups)
            return replace(report, warnings=(*report.warnings, *kept))


@contextmanager
def _remove_if_failed(folders: list[Path]) -> Iterator[None]:
    """If the block fails, remove the new ``folders``, innermost first, that are still empty."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # one is not empty
            if folders and [path.name for path in folders[0].iterdir()] == [LOCK_FILE]:
                (folders[0] / LOCK_FILE).unlink()
            for folder in folders:
                folder.rmdir()
        raise


@contextmanager
def _staging(folder: Path, *, keep: bool, clear: bool) -> Iterator[Path]:
    """Yield the staging folder in the data folder, empty at first if ``clear`` or not ``keep``.

    ``keep`` leaves a partial download there if Kaggle fails or Ctrl-C is pressed; it is resumed.
    """
    staging = folder / ".fetch"
    if clear or not keep:
        shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(exist_ok=True)
    is_partial = False
    try:
        yield staging
    except (KaggleError, KeyboardInterrupt):
        is_partial = keep and any(staging.iterdir())
        raise
    finally:
        if not is_partial:
            shutil.rmtree(staging, ignore_errors=True)


def _existing_path(source: str, folder: Path) -> Path:
    path = Path(os.path.expanduser(source))  # noqa: PTH111  Path.expanduser fails without a home
    if not path.exists():
        raise UsageError(
            f"{source!r} is no file or folder, and no source; {did_you_mean(source, SOURCES)}"
            f"one of: {', '.join(SOURCES)}, or the path of digit-recognizer.zip"
        )
    if folder.exists() and path.samefile(folder):
        raise UsageError(f"{source!r} is the data folder itself; name the folder to copy from")
    return path.resolve()


def _download_from_kaggle(
    names: list[str], folder: Path, policy: RetryPolicy | None, progress: Progress
) -> None:
    """Download ``names`` into ``folder``, uncompressed and with the size that Kaggle lists.

    An interrupted download stays in ``folder``; the next call resumes it.
    """
    # Imported late, because kagglesdk takes 0.3 s to import.
    from kaggle_digits.kaggle_api.client import CompetitionClient

    try:
        kaggle = CompetitionClient(policy=policy, progress=progress)
    except KaggleError as error:  # no usable credential
        raise KaggleError(f"{error}; without an account: `kd.fetch('sample')`") from None
    progress.note(f"using the {kaggle.credential}")
    remote_files = {file.name.removesuffix(".zip"): file for file in kaggle.list_files()}
    for name in names:
        if name not in remote_files:
            raise KaggleError(
                f"Kaggle lists no {name} (but {', '.join(sorted(remote_files))}); download it in a "
                "browser and: `kd.fetch(FOLDER)`"
            )
    needed = sum(remote_files[name].size for name in names)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder.parent} has {free >> 20:,} MB free but {needed >> 20:,} MB are needed; "
            "free some or choose another `data_dir`"
        )
    for name in names:
        target, file = folder / name, remote_files[name]
        # A call that failed at a later file may have left this one complete.
        if not target.is_file() or target.stat().st_size != file.size:
            downloaded = kaggle.download_file(file, folder)
            if downloaded != target:
                _unpack_download(downloaded, target, file.size)


def _unpack_download(packed: Path, target: Path, listed_size: int) -> None:
    """Unpack a file that Kaggle served as a zip; it lists the size of the zip, the file or 0."""
    try:
        unpack(packed, target.name, target)
    except DataError as error:
        fault = "as sent by Kaggle cannot be unpacked; run it again: `kd.fetch()`"
        raise KaggleError(f"{packed.name} {fault}") from error
    finally:
        packed_size = packed.stat().st_size
        packed.unlink()
    size = target.stat().st_size
    if listed_size not in (0, size, packed_size):
        target.unlink()
        raise KaggleError(
            f"{target.name} unpacks to {size:,} bytes but Kaggle lists {listed_size:,}; run it "
            "again: `kd.fetch()`"
        )


def _inspect(folder: Path) -> tuple[dict[str, str], str, dict[str, str]]:
    """Return the hashes of the files in ``folder``, their source, and the hashes of intact ones.

    Intact files have the recorded hash, or Kaggle's if nothing is recorded.
    """
    present = {name: sha256(folder / name) for name in dataset.FILES if (folder / name).is_file()}
    recorded = dataset.read_source(folder)
    source, expected = dataset.UNKNOWN, dataset.KAGGLE_SHA256
    if recorded:
        source, expected = recorded.source, recorded.sha256
    if _is_kaggle(present):
        source = dataset.KAGGLE
    intact = {n: digest for n, digest in present.items() if digest == expected.get(n)}
    return present, source, intact


def _is_kaggle(hashes: dict[str, str]) -> bool:
    names = (dataset.TRAIN, dataset.TEST)
    return all(hashes.get(name) == dataset.KAGGLE_SHA256[name] for name in names)


def _check_same_source(folder: Path, present_source: str, source: str) -> None:
    if present_source == source:
        return
    owner = (
        "of unknown source" if present_source == dataset.UNKNOWN else f"of source {present_source}"
    )
    raise DataError(
        f"{folder} contains files {owner}; replace them with `force=True`, or keep them and fetch "
        f"{source} elsewhere with `data_dir`"
    )


def _check_contents(paths: dict[str, Path], source: str, staging: Path) -> None:
    """Read the three files; raise DataError unless they have the competition's format."""
    try:
        rows = _count_rows(paths)
    except DataError as error:
        reason = str(error).replace(f"{staging}/", "")
        raise DataError(
            f"the files of source {source} are not in the competition's format: {reason}"
        ) from error
    if rows[dataset.TEST] != rows[dataset.SAMPLE]:
        raise DataError(
            f"the files of source {source} do not belong together: sample_submission.csv has "
            f"{rows[dataset.SAMPLE]} rows but test.csv has {rows[dataset.TEST]}; nothing was "
            "changed"
        )


def _count_rows(paths: dict[str, Path]) -> dict[str, int]:
    by_name: tuple[Callable[[Path], Sized], ...] = (read_train, read_test, read_ids)
    readers = dict(zip(dataset.FILES, by_name, strict=True))
    return {name: len(readers[name](path)) for name, path in paths.items()}


def _report(
    folder: Path, source: str, hashes: dict[str, str], unchanged: dict[str, str]
) -> FetchReport:
    paths = {name: folder / name for name in dataset.FILES if name in hashes}
    rows = _count_rows(paths)
    files = tuple(
        FetchedFile(name, hashes[name], path.stat().st_size, rows[name], name in unchanged)
        for name, path in paths.items()
    )
    return FetchReport(source, folder, files, tuple(_warnings(source, hashes)))


def _warnings(source: str, hashes: dict[str, str]) -> list[str]:
    if source == dataset.SAMPLE_SOURCE:
        return []
    if source != dataset.KAGGLE:
        reason = "these are not Kaggle's files"
        if source == dataset.OPENML:
            reason = "openml's rows contain the competition's test images"
        return [f"{reason}: a run trained on them cannot be submitted"]
    return [
        f"{name} is not the file Kaggle served before (sha256 {digest[:12]}…, "
        f"was {dataset.KAGGLE_SHA256[name][:12]}…): Kaggle may have published a new version"
        for name, digest in hashes.items()
        if digest != dataset.KAGGLE_SHA256[name]
    ]
