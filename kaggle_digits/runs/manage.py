"""Delete and rename runs, and attach notes to them.

Each is refused while another process trains the run, and leaves no half of a run if it is killed.
"""

import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import read_json, wrap_os_errors
from kaggle_digits.core.errors import RunError
from kaggle_digits.data.submission_csv import read_origin, record_path, write_origin
from kaggle_digits.kaggle_api.submission_log import LogEntry, read_log, update_log
from kaggle_digits.runs.run import CONFIG_FILE, Run
from kaggle_digits.runs.store import check_new_name, list_runs, open_run, remove_lock_owner
from kaggle_digits.runs.submission_files import folder_lock, is_own, submission_path

SEPARATOR = " + "  # between the names of runs in the log


def remove_run(runs_dir: Path, name: str) -> None:
    """Delete a run; its submission stays. RunError: there is none, or it is in use."""
    run = open_run(runs_dir, name)
    # One level deeper than a run, so that it is never taken for one.
    trash = runs_dir / f".removed-{uuid.uuid4().hex[:12]}"
    with run.locked(), wrap_os_errors(run.path):
        trash.mkdir()
        run.path.rename(trash / name)
    shutil.rmtree(trash, ignore_errors=True)


def rename_run(runs_dir: Path, submissions_dir: Path, name: str, new: str) -> Path | None:
    """Rename a run, its submission and the runs named in records; return the submission, if any.

    The submission is renamed only if the run alone made it and nobody changed it since.

    Raises:
        RunError: there is no run ``name``, it is in use, or a run or submission ``new`` exists.
        UsageError: ``new`` cannot name a run.
        SubmissionError: the log of submissions is damaged.
    """
    run, renamed = open_run(runs_dir, name), Run(runs_dir / new)
    check_new_name(runs_dir, new)
    target = submission_path(submissions_dir, new)
    for taken in (renamed.path, target, record_path(target)):
        if os.path.lexists(taken):
            raise RunError(f"{taken} already exists; choose another name")
    log = read_log(submissions_dir)  # raises if it is damaged, before anything is changed
    with run.locked(), wrap_os_errors(run.path):
        run.path.rename(renamed.path)
        _change_config(renamed, name=new)
    remove_lock_owner(renamed.path)
    for student in list_runs(runs_dir):
        with suppress(RunError):
            if name in student.teachers():
                pseudo = dict(student.config()["pseudo"])
                teachers = _renamed(pseudo.get("teachers") or [], name, new)
                own = {"run": new} if pseudo.get("run") == name else {}
                _change_config(student, pseudo={**pseudo, "teachers": teachers or None, **own})
    if any(name in entry.run.split(SEPARATOR) for entry in log):
        update_log(submissions_dir, lambda log: [_rename_in_entry(e, name, new) for e in log])
    return _rename_submission(submission_path(submissions_dir, name), target, name, new)


def set_note(runs_dir: Path, name: str, text: str) -> None:
    """Store ``text`` as the key ``note`` of config.json; RunError: no such run, or it is in use."""
    run = open_run(runs_dir, name)
    with run.locked():
        _change_config(run, note=text or None)


def _rename_submission(path: Path, target: Path, name: str, new: str) -> Path | None:
    origin = read_origin(path)
    if origin is None or not is_own(path, name):
        return None
    renamed = {"ensemble": new} if origin.ensemble else {"runs": [new]}
    with folder_lock(path.parent):
        # First the record, so that no file lacks its origin if the process is killed in between.
        write_origin(target, replace(origin, **renamed))
        path.rename(target)
        record_path(path).unlink()
    return target


def _rename_in_entry(entry: LogEntry, name: str, new: str) -> LogEntry:
    return replace(entry, run=SEPARATOR.join(_renamed(entry.run.split(SEPARATOR), name, new)))


def _renamed(names: list[str], name: str, new: str) -> list[str]:
    return [new if each == name else each for each in names]


def _change_config(run: Run, **changes: Any) -> None:
    """Change keys of config.json, without adding the defaults that Run.config adds."""
    run.config()  # raises if it is damaged
    run.write_config(read_json(run.path / CONFIG_FILE) | changes)
