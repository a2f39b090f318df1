"""Put the three files into the data folder, verified, whole, and with their source recorded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from kaggle_digits.core.atomic_io import sha256, wrap_os_errors
from kaggle_digits.core.errors import DataError, KaggleError, UsageError
from kaggle_digits.core.progress import NoProgress, Progress
from kaggle_digits.data.dataset import (
    FILES,
    KAGGLE,
    KAGGLE_SHA256,
    OPENML,
    SAMPLE,
    SAMPLE_SOURCE,
    TEST,
    TRAIN,
    UNKNOWN,
    Source,
    read_source,
    write_source,
)
from kaggle_digits.data.digits import read_test, read_train
from kaggle_digits.data.submission_csv import read_ids
from kaggle_digits.kaggle_api.retry import RetryPolicy
from kaggle_digits.sources.archive import extract_csvs
from kaggle_digits.sources.openml import write_openml
from kaggle_digits.sources.report import FetchReport, report
from kaggle_digits.sources.sample import write_sample

STAGING = ".fetch"


def fetch(
    source: str = KAGGLE,
    data_dir: Path | str = "data",
    *,
    force: bool = False,
    policy: RetryPolicy | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Put train.csv, test.csv and sample_submission.csv into ``data_dir``.

    What is already good is not fetched again; files of another source are not touched without
    ``force``. The new files are read and checked beside their place before they are moved there.

    Args:
        source: ``kaggle``, ``sample``, ``openml``, or the path of a zip or folder.
        data_dir: made if missing.
        force: fetch everything again, and replace another source's files.
        policy: with Kaggle or OpenML.
        progress: where news and transferred bytes are told.

    Raises:
        UsageError: there is no such source.
        DataError: the files are missing, damaged or not in the competition's form, or those of
            another source stand in ``data_dir``.
        KaggleError: Kaggle or OpenML could not be reached or did not send them.
        StorageError: the disk is full or not writable.
    """
    folder, progress = Path(data_dir), progress or NoProgress()
    origin = None if source in (KAGGLE, SAMPLE_SOURCE, OPENML) else _existing(source, folder)
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder):
            standing = _standing(folder)
            held_by = _source_of(folder, standing)
            good = _good(folder, standing) if held_by == source and not force else {}
            if len(good) == len(FILES):
                return report(folder, source, good, good)
            if origin is None:
                _refuse_other(folder, standing, held_by, source, force=force)
            with _staging(folder, keep=source == KAGGLE, empty=force) as staging:
                if source == KAGGLE:
                    # Late, because kagglesdk takes 0.3 s to import.
                    from kaggle_digits.kaggle_api.client import CompetitionClient
                    from kaggle_digits.sources.kaggle import download_files

                    kaggle = CompetitionClient(policy=policy, progress=progress)
                    progress.note(f"using the {kaggle.credential}")
                    download_files(kaggle, [n for n in FILES if n not in good], staging)
                else:
                    _write(source, origin, staging, policy)
                found = good | {n: sha256(staging / n) for n in FILES if n not in good}
                if origin is not None:
                    theirs = all(found[n] == KAGGLE_SHA256[n] for n in (TRAIN, TEST))
                    source = KAGGLE if theirs else str(origin)
                    _refuse_other(folder, standing, held_by, source, force=force)
                good = {n: d for n, d in found.items() if standing.get(n) == d}
                paths = {n: (folder if n in good else staging) / n for n in FILES}
                _check(paths, source, staging)
                _move_in(paths, folder, source, found)
            return report(folder, source, found, good)


def _write(source: str, origin: Path | None, staging: Path, policy: RetryPolicy | None) -> None:
    if origin is not None:
        extract_csvs(origin, staging)
    elif source == SAMPLE_SOURCE:
        write_sample(staging)
    else:
        write_openml(staging, policy)


@contextmanager
def _staging(folder: Path, *, keep: bool, empty: bool) -> Iterator[Path]:
    """A folder beside the files; ``keep`` what a failed download left, unless to be ``empty``."""
    staging = folder / STAGING
    if empty or not keep:
        shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(exist_ok=True)
    try:
        yield staging
    except (KaggleError, KeyboardInterrupt):
        if keep and any(staging.iterdir()):
            raise
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _move_in(paths: dict[str, Path], folder: Path, source: str, found: dict[str, str]) -> None:
    # Recorded first: killed in between, what is not yet moved counts as damaged.
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_source(folder, Source(source, now, found))
    for name, path in paths.items():
        if path.parent != folder:
            path.replace(folder / name)


def _existing(source: str, folder: Path) -> Path:
    path = Path(os.path.expanduser(source))  # noqa: PTH111  Path's own fails without a home
    if not path.exists():
        raise UsageError(
            f"{source!r} is no file or folder, and no source: "
            "kaggle, sample, openml, or the path of digit-recognizer.zip"
        )
    if folder.exists() and path.samefile(folder):
        raise UsageError(f"{source!r} is the data folder itself; name the folder to copy from")
    return path.resolve()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".fetch.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"another kd fetch is filling {folder}; wait until it is done") from None
    try:
        yield
    finally:
        lock.release()


def _standing(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in FILES if (folder / name).is_file()}


def _source_of(folder: Path, standing: dict[str, str]) -> str | None:
    """Whose the standing files are; None where none stands."""
    if standing and all(standing.get(name) == KAGGLE_SHA256[name] for name in (TRAIN, TEST)):
        return KAGGLE
    recorded = read_source(folder)
    if recorded is not None:
        return recorded.source
    return UNKNOWN if standing else None


def _good(folder: Path, standing: dict[str, str]) -> dict[str, str]:
    recorded = read_source(folder)
    due = recorded.sha256 if recorded else KAGGLE_SHA256
    return {name: found for name, found in standing.items() if found == due.get(name)}


def _refuse_other(
    folder: Path, standing: dict[str, str], held_by: str | None, source: str, *, force: bool
) -> None:
    if force or not standing or held_by in (source, None):
        return
    whose = "files of unknown source" if held_by == UNKNOWN else f"the files of source {held_by}"
    raise DataError(
        f"{folder} holds {whose}; replace them with --force, or keep them and fetch "
        f"{source} elsewhere with --data-dir"
    )


def _check(paths: dict[str, Path], source: str, staging: Path) -> None:
    """The same check for every source."""
    try:
        read_train(paths[TRAIN])
        n_test, n_ids = len(read_test(paths[TEST])), len(read_ids(paths[SAMPLE]))
    except DataError as error:
        said = str(error).replace(f"{staging}/", "")
        raise DataError(f"what {source} gave is not the competition's form: {said}") from error
    if n_test != n_ids:
        raise DataError(
            f"what {source} gave does not fit together: {SAMPLE} has {n_ids} rows but {TEST} has "
            f"{n_test}; nothing was changed"
        )
