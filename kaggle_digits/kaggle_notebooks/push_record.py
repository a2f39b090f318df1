"""What was pushed to Kaggle: runs/.remote/NAME/push.json, one a run; no credential is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from kaggle_digits.core.atomic_io import wrap_os_errors, write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.store import check_name

FOLDER, FILE = ".remote", "push.json"
# Of a push: under way or its answer lost; at Kaggle; pulled; its session failed.
SENDING, PUSHED, PULLED, FAILED = "sending", "pushed", "pulled", "failed"


@dataclass(frozen=True)
class PushRecord:
    """One push.

    Attributes:
        run: name of the run that it trains.
        push_id: told to the script; comes back in its manifest.
        ref: ``owner/slug`` of the notebook.
        url: its page.
        version: of the notebook, or None where Kaggle did not say.
        recipe: a name, or a recipe file's.
        options: further words for ``kd train``.
        accelerator: Kaggle's name of the machine, or None for none.
        internet: whether the notebook may reach the network.
        hours: after which it stops by itself.
        toolkit: version of this package.
        source_sha256: of the packed source.
        script_bytes: of the script.
        pushed: when, ISO 8601 with time zone.
        state: sending, pushed, pulled or failed.
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
        """Whether its run may still be pulled."""
        return self.state in (SENDING, PUSHED)


def record_dir(runs_dir: Path, run: str) -> Path:
    """Where all about a push is kept.

    Deeper than ``runs_dir``/*/config.json, so that nothing in it is taken for a run.
    """
    return runs_dir / FOLDER / check_name(run)


def write(runs_dir: Path, push: PushRecord) -> None:
    """Keep ``push``, whole, in the place of an earlier one of that run."""
    write_json(record_dir(runs_dir, push.run) / FILE, asdict(push))


def delete(runs_dir: Path, run: str) -> None:
    """Keep nothing of a push that never arrived."""
    (record_dir(runs_dir, run) / FILE).unlink(missing_ok=True)


def read(runs_dir: Path, run: str) -> PushRecord | None:
    """The push of ``run``; None where there is none.

    Raises:
        RunError: its record is damaged.
    """
    path = record_dir(runs_dir, run) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return PushRecord(**{**content, "options": tuple(content["options"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is damaged; delete {path.parent} and look for the notebook at "
            "https://www.kaggle.com/code"
        ) from error


def read_all(runs_dir: Path) -> list[PushRecord]:
    """Every push, newest first."""
    names = [path.parent.name for path in runs_dir.glob(f"{FOLDER}/*/{FILE}")]
    pushes = [push for name in names if (push := read(runs_dir, name)) is not None]
    return sorted(pushes, key=lambda push: push.pushed, reverse=True)


def find(runs_dir: Path, run: str | None) -> PushRecord:
    """The push of ``run``; None means the newest one that was not pulled yet.

    Raises:
        RunError: there is none.
    """
    pushes = read_all(runs_dir)
    names = ", ".join(push.run for push in pushes[:8])
    if run is not None:
        found = read(runs_dir, run)
        if found is None:
            raise RunError(
                f"run {run} was not pushed from {runs_dir}; "
                + (f"there are: {names}" if names else "push one: kd remote push fast")
            )
        return found
    for push in pushes:
        if push.open:
            return push
    raise RunError(
        f"nothing in {runs_dir} is under way at Kaggle"
        + (f" (pulled or failed: {names})" if names else "")
        + "; push a run: kd remote push fast"
    )


@contextmanager
def lock(runs_dir: Path, run: str) -> Iterator[Path]:
    """The folder of a push, for this process alone.

    Raises:
        RunError: another process pushes or pulls that run.
    """
    folder = record_dir(runs_dir, run)
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        with wrap_os_errors(folder):
            lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another kd pushes or pulls run {run}; wait for it") from None
    try:
        yield folder
    finally:
        lock.release()
