"""The record of a push, runs/.remote/NAME/push.json: one for each run, without any credential."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kaggle_digits.core.atomic_io import file_lock, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.store import check_name

# One level deeper than RUNS_DIR/*/config.json, so that it is never taken for a run.
FOLDER, FILE = ".remote", "push.json"
SENDING, PUSHED, PULLED, FAILED = "sending", "pushed", "pulled", "failed"


@dataclass(frozen=True)
class PushRecord:
    """One push.

    Attributes:
        run: name of the run that it trains.
        push_id: sent with the script and repeated in its manifest.
        ref: ``owner/slug`` of the notebook.
        url: address of its page.
        version: version number of the notebook; None if Kaggle did not tell.
        recipe: name of the recipe or of the recipe file.
        options: further arguments of ``kd train``.
        accelerator: Kaggle's name of the machine; None for one without a GPU.
        internet: whether the notebook may use the network.
        hours: time limit of the training.
        toolkit: version of this package.
        source_sha256: SHA-256 of the packed toolkit.
        script_bytes: size of the script.
        pushed: time of the push, ISO 8601 with time zone.
        state: sending (until Kaggle has confirmed the push), pushed, pulled or failed.
        reason: why it failed.
    """

    run: str
    push_id: str
    ref: str
    url: str
    version: int | None
    recipe: str
    options: tuple[str, ...]
    accelerator: str | None
    internet: bool
    hours: float
    toolkit: str
    source_sha256: str
    script_bytes: int
    pushed: str
    state: str
    reason: str = ""

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


def delete(runs_dir: Path, run: str) -> None:
    """Delete the record of ``run``, if it exists."""
    (record_dir(runs_dir, run) / FILE).unlink(missing_ok=True)


def read(runs_dir: Path, run: str) -> PushRecord | None:
    """Return the record of ``run``, or None.

    Raises:
        RunError: it is damaged.
    """
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
    """Return the record of ``run``; without a name the newest one that was not pulled.

    Raises:
        RunError: there is none, or it is damaged.
    """
    records = read_all(runs_dir)
    names = ", ".join(record.run for record in records[:8])
    if run is not None:
        record = read(runs_dir, run)
        existing = f"there are: {names}" if names else "push one: kd remote push fast"
        problem = f"run {run} was not pushed from {runs_dir}; {existing}"
    else:
        record = next((record for record in records if record.open), None)
        others = f" (pulled or failed: {names})" if names else ""
        problem = f"no push in {runs_dir} waits to be pulled{others}; make one: kd remote push fast"
    if record is None:
        raise RunError(problem)
    return record


@contextmanager
def lock(runs_dir: Path, run: str) -> Iterator[Path]:
    """Hold the lock of a push and yield its folder.

    Raises:
        RunError: another process pushes or pulls that run.
    """
    folder = record_dir(runs_dir, run)
    busy = RunError(f"another kd pushes or pulls run {run}; wait until it ends")
    with file_lock(folder / ".lock", busy):
        yield folder
