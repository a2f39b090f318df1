"""Where a search keeps its trials: an SQLite file, or any database that Optuna knows.

A process that is killed leaves its trial "running". Whoever works in the same folder sees that at
once, because the lock that each worker holds there is free again; whoever works elsewhere sees it
when the trial's heartbeat has been missing for minutes.
"""

from __future__ import annotations

import logging
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.errors import DigitsError, RunError, StorageError, UsageError

if TYPE_CHECKING:
    import optuna

FILE = "study.db"
HEARTBEAT_SECONDS, GRACE_SECONDS = 30, 300
# Another process may hold an SQLite file for a moment, or make its tables in the same one.
SECONDS_TO_WAIT, SECONDS_BETWEEN_TRIES, TRIES = 60, 0.5, 4
WORKER = "worker"
LOCK, OPENING = ".worker-{}.lock", ".study.lock"


def optuna_package() -> Any:
    """The optuna module, which says nothing on its own.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("optuna", "sqlalchemy", "alembic"):
            raise
        raise UsageError(
            f"kd tune wants packages that are not installed ({error.name}); install them: "
            "pip install 'kaggle-digits[tune]'"
        ) from error
    if optuna.logging.get_verbosity() != logging.CRITICAL:  # to set it costs more than to look
        optuna.logging.set_verbosity(logging.CRITICAL)
    return optuna


def open_storage(url: str | None, folder: Path) -> Any:
    """Optuna's storage at ``url``, or in an SQLite file in ``folder``.

    Args:
        url: of a database, as SQLAlchemy writes it; may hold a password, which no message repeats.
        folder: made if missing.

    Raises:
        UsageError: ``url`` is none, or the database cannot be reached.
        StorageError: the folder cannot be written.
    """
    optuna = optuna_package()
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    address = url or _sqlite_address(folder / FILE)
    sqlite = address.startswith("sqlite")
    for attempt in range(1, TRIES + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    address.replace("{", "{{").replace("}", "}}"),  # Optuna fills braces in
                    engine_kwargs={"connect_args": {"timeout": SECONDS_TO_WAIT}} if sqlite else {},
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                )
        except Exception as error:
            if attempt == TRIES or not _passing(error):
                # Without its cause: a traceback would repeat the address.
                raise _unreachable(error, url, folder) from None
            time.sleep(SECONDS_BETWEEN_TRIES)
    raise AssertionError("unreachable")


@contextmanager
def storage_errors(url: str | None, folder: Path) -> Iterator[None]:
    """Turn what the database refuses while a search runs into one line without its password."""
    try:
        yield
    except Exception as error:
        # Optuna trips over its own feet when a database breaks in the middle of a trial, so the
        # reason may stand further down.
        seen: BaseException | None = error
        while seen is not None and not isinstance(error, DigitsError):
            if type(seen).__module__.startswith(("sqlalchemy.", "sqlite3")):
                raise _unreachable(seen, url, folder) from None
            seen = seen.__cause__ or seen.__context__
        raise


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """One process at a time opens the study in ``folder``, and so only one makes it."""
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / OPENING)
        try:
            lock.acquire(timeout=SECONDS_TO_WAIT)
        except Timeout:
            raise RunError(
                f"another kd tune has been opening {folder} for a minute; end it, or give this "
                "study another --name"
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def worker(folder: Path) -> Iterator[str]:
    """Yield a name for this process; its lock in ``folder`` is held until the block ends."""
    _sweep(folder)
    name = uuid.uuid4().hex[:12]
    path = folder / LOCK.format(name)
    lock = FileLock(path)
    with wrap_os_errors(path):
        lock.acquire()
    try:
        yield name
    except Exception:
        # Of a trial that a full disk left running: by the lock it is seen to be dead at once.
        lock.release()
        raise
    except BaseException:
        _end(lock, path)
        raise
    _end(lock, path)


def _end(lock: FileLock, path: Path) -> None:
    lock.release()
    path.unlink(missing_ok=True)


def is_dead(name: str, folder: Path) -> bool:
    """Whether the worker ``name`` worked in ``folder`` and was killed."""
    path = folder / LOCK.format(name)
    if not path.is_file():
        return False  # of another machine: its heartbeat tells
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True


def _sweep(folder: Path) -> None:
    """Remove the locks of workers that were killed and whose trials are buried."""
    for path in folder.glob(LOCK.format("*")):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > GRACE_SECONDS:
                name = path.name.removeprefix(".worker-").removesuffix(".lock")
                if is_dead(name, folder):
                    path.unlink(missing_ok=True)


def bury_the_dead(study: optuna.study.Study, folder: Path) -> None:
    """Trials that a killed worker left running in ``study`` are failed, and block nothing."""
    optuna = optuna_package()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for trial in running:
        name = trial.user_attrs.get(WORKER)
        if name and is_dead(name, folder):
            # Another worker may have been quicker.
            with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            (folder / LOCK.format(name)).unlink(missing_ok=True)


def _sqlite_address(path: Path) -> str:
    """A path may hold what means something in an address: ? and %."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _passing(error: Exception) -> bool:
    """Whether two processes made the same table at once, or one waited for the other."""
    text = str(error).lower()
    return "already exists" in text or "locked" in text or "unique constraint" in text


def _unreachable(error: BaseException, url: str | None, folder: Path) -> Exception:
    reason = _without_password(" ".join(str(error).split()), url)[:200]
    if url is None:
        place = folder / FILE
        if "is full" in reason:
            return StorageError(
                f"no space left on the disk while writing {place}; free some and run it again: "
                "finished trials are kept"
            )
        if "disk I/O error" in reason:
            return StorageError(
                f"the disk, or a limit on the length of files, refused {place}; free some, or "
                "choose another --runs-dir: finished trials are kept"
            )
        if "readonly" in reason or "unable to open" in reason:
            return StorageError(f"no permission to write {place}; choose another --runs-dir")
        return RunError(
            f"the trials in {place} cannot be read or written ({reason}); "
            "delete the file to begin anew"
        )
    if isinstance(error, ImportError):
        return UsageError(
            f"--storage: the driver of this database is not installed ({reason}); "
            "for example pip install 'psycopg[binary]' for postgresql+psycopg://"
        )
    return UsageError(
        f"--storage: the database cannot be used ({type(error).__name__}: {reason}); "
        "give a URL such as sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
    )


def _without_password(text: str, url: str | None) -> str:
    """``text`` without ``url``, and without any part of it that may be secret."""
    if not url:
        return text
    hidden = {url}
    try:
        parts = urlsplit(url)
        hidden |= {parts.netloc, parts.password or "", parts.query}
    except ValueError:
        pass
    # Where a URL is not well-formed, whatever stands before @ may be the secret.
    before = url.partition("://")[2].rpartition("@")[0]
    hidden |= {before, before.partition(":")[2]}
    hidden |= {unquote(secret) for secret in hidden}
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
