"""The record of a push, runs/.remote/NAME/push.json without any credential; its state on Kaggle."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.core.atomic_io import file_lock, write_json
from kaggle_digits.core.errors import KaggleError, RunError
from kaggle_digits.runs.run import check_name

if TYPE_CHECKING:
    from kaggle_digits.kaggle_notebooks.api import NotebookClient

# One level deeper than RUNS_DIR/*/config.json, so that it is never taken for a run.
FOLDER, FILE = ".remote", "push.json"
SENDING, PUSHED, PULLED, FAILED = "sending", "pushed", "pulled", "failed"


@dataclass(frozen=True)
class Job:
    """The settings of a training on Kaggle."""

    run: str
    push_id: str  # sent with the script and repeated in its manifest
    recipe: str  # name of the recipe or of the recipe file
    options: tuple[str, ...]  # further arguments of kd train
    accelerator: str | None  # Kaggle's name of the machine; None for one without a GPU
    internet: bool  # whether packages that Kaggle's image lacks may be installed
    hours: float  # time limit, after which finished members are kept


@dataclass(frozen=True)
class PushRecord(Job):
    """One push, and the settings of its training."""

    ref: str  # owner/slug of the notebook
    url: str  # of its page
    version: int | None  # of the notebook; None if Kaggle did not tell
    toolkit: str  # version of this package
    source_sha256: str  # of the packed toolkit
    script_bytes: int
    pushed: str  # time, ISO 8601 with time zone
    state: str  # sending (until Kaggle has confirmed the push), pushed, pulled or failed
    reason: str = ""  # why it failed

    @property
    def open(self) -> bool:
        """Whether the run may still be pulled."""
        return self.state in (SENDING, PUSHED)


def record_dir(runs_dir: Path, run: str) -> Path:
    """Return the folder of the record and the downloads of ``run``."""
    return runs_dir / FOLDER / check_name(run)


def write(runs_dir: Path, record: PushRecord) -> None:
    """Write ``record``, in place of an earlier one of the same run."""
    write_json(record_dir(runs_dir, record.run) / FILE, asdict(record))


def read(runs_dir: Path, run: str) -> PushRecord | None:
    """Return the record of ``run``, or None; RunError if it is damaged."""
    from pydantic import TypeAdapter

    path = record_dir(runs_dir, run) / FILE
    try:
        return TypeAdapter(PushRecord).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is damaged; delete {path.parent} and look for the notebook at "
            "https://www.kaggle.com/code"
        ) from error


def read_all(runs_dir: Path) -> list[PushRecord]:
    """Return all records, the newest first."""
    names = [path.parent.name for path in runs_dir.glob(f"{FOLDER}/*/{FILE}")]
    records = [record for name in names if (record := read(runs_dir, name)) is not None]
    return sorted(records, key=lambda record: record.pushed, reverse=True)


def find(runs_dir: Path, run: str | None) -> PushRecord:
    """Return the record of ``run``, or of the newest not pulled; RunError if there is none."""
    if run is not None and (record := read(runs_dir, run)) is not None:
        return record
    records = read_all(runs_dir)
    for record in records:
        if run is None and record.open:
            return record
    problem = f"run {run} was not pushed from {runs_dir}"
    if run is None:
        problem = f"no push in {runs_dir} waits to be pulled"
    names = ", ".join(record.run for record in records[:8]) or "none"
    raise RunError(f"{problem}; pushed so far: {names}; push one: kd remote push fast")


@contextmanager
def lock(runs_dir: Path, run: str) -> Iterator[Path]:
    """Hold the lock of a push and yield its folder; RunError if another process holds it."""
    folder = record_dir(runs_dir, run)
    busy = RunError(f"another kd pushes or pulls run {run}; wait until it ends")
    with file_lock(folder / ".lock", busy):
        yield folder


@dataclass(frozen=True)
class PushStatus:
    """The state of a push on Kaggle."""

    push: PushRecord
    state: str  # queued, running, complete, failed or cancelled
    failure: str  # Kaggle's message if it failed
    stale: bool  # whether Kaggle still shows the state of an earlier version

    @property
    def ended(self) -> bool:
        """Whether the session of this push has ended."""
        return self.state in ("complete", "failed", "cancelled") and not self.stale


def get_status(push: PushRecord, client: "NotebookClient") -> PushStatus:
    """Ask Kaggle for the state of ``push``."""
    state, failure = client.session_state(push.ref)
    stale = False
    if state not in ("queued", "running") and push.version is not None:
        version = client.version(push.ref)
        stale = version is not None and version < push.version
    return PushStatus(push, state, failure, stale)


def wait(
    push: PushRecord, client: "NotebookClient", on_change: Callable[[PushStatus], None]
) -> PushStatus:
    """Poll until the session has ended; call ``on_change`` with each new status.

    KaggleError: it takes more than twice its time limit, half of which allows for the queue.
    """
    deadline = time.monotonic() + 2 * 3600 * (push.hours + 1)
    previous = None
    while True:
        status = get_status(push, client)
        if status != previous:
            on_change(status)
            previous = status
        if status.ended:
            return status
        if time.monotonic() > deadline:
            raise KaggleError(
                f"{push.ref} has not ended in twice its time limit; look at {push.url}, or ask "
                f"again: kd remote status {push.run}"
            )
        time.sleep(4 * client.policy.poll_interval)  # a session takes hours
