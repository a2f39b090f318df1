"""Where a study is stored: a journal file in its folder, or any database that Optuna supports.

A killed process leaves its trial in the state RUNNING. Every running trial has a lock file in the
study's folder, which the operating system unlocks when the process ends. So stale trials of this
machine are found at once, and those of other machines, which share a database, by Optuna's
heartbeat.
"""

import warnings
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import Timeout
from optuna.storages.journal import JournalFileBackend, JournalStorage

from kaggle_digits.core.atomic_io import file_lock, new_lock, wrap_os_errors
from kaggle_digits.core.errors import DigitsError, RunError, StorageError, UsageError
from kaggle_digits.kaggle_api.redaction import redact
from kaggle_digits.tuning.optuna_import import optuna

JOURNAL = "journal.log"
OLD_DATABASE = "study.db"  # SQLite, the file of older versions
HEARTBEAT_SECONDS, GRACE_SECONDS = 30, 300
SECONDS_TO_WAIT = 60  # for a lock of another process
MAX_RETRIES = 2  # of a trial whose process was killed: it may have run out of memory
DATABASE_MODULES = ("sqlalchemy.", "sqlite3", "alembic.")
TRIAL_LOCK, STUDY_LOCK = ".trial-{}.lock", ".study.lock"


def open_storage(url: str | None, folder: Path) -> optuna.storages.BaseStorage:
    """Open the database at ``url``, in SQLAlchemy's form, or the journal in the study's ``folder``.

    Raises UsageError if the database cannot be used, without repeating its URL or password,
    RunError if the study's file is damaged or of an older version, StorageError if the folder
    cannot be written.
    """
    if url is not None:
        timeout = {"timeout": SECONDS_TO_WAIT} if url.startswith("sqlite") else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                url.replace("{", "{{").replace("}", "}}"),  # Optuna formats the URL
                engine_kwargs={"connect_args": timeout},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
            )
    if (folder / OLD_DATABASE).exists() and not (folder / JOURNAL).exists():
        raise RunError(
            f"an older version made the study in {folder}; continue it with "
            f"`storage={f'sqlite:///{folder / OLD_DATABASE}'!r}`, or start another one with `name`"
        )
    journal = _Journal(folder / JOURNAL)
    try:
        return JournalStorage(journal)
    except (KeyError, TypeError, AssertionError) as error:  # valid JSON, but not a journal
        raise journal.damaged(error) from None


class _Journal(JournalFileBackend):
    """Optuna's journal file with a lock that ends with its process, and errors that name the file.

    Optuna's own lock of a killed process lasts 30 seconds. A process that was killed or that met a
    full disk may have written only a part of a line, which is removed before the next one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file_lock = new_lock(path.with_name(f".{path.name}.lock"))
        with wrap_os_errors(path):
            super().__init__(str(path), self._file_lock)  # type: ignore[arg-type]

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        with self._explained():
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self._explained(), self._file_lock:
            self._remove_partial_line()
            super().append_logs(logs)

    def damaged(self, error: Exception) -> RunError:
        """Return the error to raise if the file does not contain a journal."""
        return RunError(
            f"the study in {self.path} is damaged ({type(error).__name__}: {error}); "
            "delete the file to start the search again"
        )

    def _remove_partial_line(self) -> None:
        with self.path.open("rb+") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 1))
            if file.read() in (b"", b"\n"):
                return
            file.seek(0)
            content = file.read()
            end = content.rfind(b"\n") + 1
            if not content.startswith(b'{"op_code":', end):
                raise ValueError("its last line is not valid")
            file.truncate(end)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with wrap_os_errors(self.path):
                yield
        except ValueError as error:  # JSONDecodeError is one
            raise self.damaged(error) from None
        except StorageError as error:
            raise StorageError(f"{error}; finished trials are kept") from error


@contextmanager
def storage_errors(url: str | None) -> Iterator[None]:
    """Raise errors of the storage as one line that does not repeat the password in ``url``."""
    try:
        yield
    except DigitsError:
        raise
    except Exception as error:
        # After a failed write Optuna fails a second time, so the cause may be further down.
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, RunError | StorageError):
                raise cause from None
            if url is not None:
                no_driver = isinstance(cause, ImportError)
                if no_driver or type(cause).__module__.startswith(DATABASE_MODULES):
                    # Without its cause, because a traceback would repeat the URL.
                    raise UsageError(f"`storage`: {_database_error(cause, url)}") from None
            cause = cause.__cause__ or cause.__context__
        raise


def _database_error(error: BaseException, url: str) -> str:
    reason = " ".join(str(error).split()).replace(url, "***")
    reason = redact(reason, {"KD_TUNE_STORAGE": url}, ())[:200]
    if isinstance(error, ImportError):
        return (
            f"the driver of this database is not installed ({reason}); "
            "for example pip install 'psycopg[binary]' for postgresql+psycopg://"
        )
    return (
        f"the database cannot be used ({type(error).__name__}: {reason}); "
        "give a URL such as sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
    )


def study_lock(folder: Path) -> AbstractContextManager[None]:
    """Let one process at a time open the study in ``folder`` or repair its trials."""
    message = (
        f"another process has locked {folder} for {SECONDS_TO_WAIT} s; end it, or name "
        "another study: `name`"
    )
    return file_lock(folder / STUDY_LOCK, RunError(message), timeout=SECONDS_TO_WAIT)


def trial_lock(folder: Path, number: int) -> AbstractContextManager[Any]:
    """Lock the trial ``number`` until the returned context ends; then it must not be RUNNING.

    fail_stale_trials removes the file.
    """
    path = folder / TRIAL_LOCK.format(number)
    with study_lock(folder), wrap_os_errors(path):
        return new_lock(path).acquire()


def fail_stale_trials(study: optuna.Study, folder: Path) -> list[int]:
    """Fail the trials of killed processes, and queue interrupted trials to be tried again.

    Returns the numbers of the trials whose process on this machine was killed.
    """
    killed = []
    with study_lock(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
        states = optuna.trial.TrialState
        for trial in study.get_trials(deepcopy=False):
            path = folder / TRIAL_LOCK.format(trial.number)
            if not path.exists():
                continue
            lock = new_lock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:  # its process is alive
                continue
            lock.release()
            if trial.state == states.RUNNING:
                killed.append(trial.number)
                # A process on another machine may have failed it meanwhile.
                with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
                    study.tell(trial.number, state=states.FAIL)
            # Windows deletes no open file. While the study is locked, nobody else opens it.
            path.unlink(missing_ok=True)
        retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)
        trials = study.get_trials()
        retried = {number for trial in trials for number in retry.retry_history(trial)}
        for trial in trials:
            started = trial.params or "fixed_params" in trial.system_attrs
            if trial.state == states.FAIL and started and trial.number not in retried:
                trial.user_attrs = {}  # without the values and metrics of this attempt
                retry(study, trial)
    return killed
