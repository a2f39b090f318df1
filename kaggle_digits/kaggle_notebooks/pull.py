"""kd remote pull: download the run that a notebook trained into runs/."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.errors import DataError, KaggleError, RunError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.kaggle_api.errors import one_line
from kaggle_digits.kaggle_notebooks import entry_point, output_archive, push_record
from kaggle_digits.kaggle_notebooks.api import COMPLETE, NotebookClient, NotebookOutput
from kaggle_digits.kaggle_notebooks.entry_point import ARCHIVE, LOG_PREFIX, MANIFEST
from kaggle_digits.kaggle_notebooks.output_archive import Manifest
from kaggle_digits.kaggle_notebooks.push_record import PushRecord
from kaggle_digits.kaggle_notebooks.status import PushStatus, earlier_version_error, get_status
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import create_run
from kaggle_digits.runs.submission_files import (
    require_absent,
    submission_path,
    write_run_submission,
)

MAX_MANIFEST_BYTES = 16 << 20
ERROR_LINES = 5  # of the log, in a message
DOWNLOADS, UNPACKED = "downloads", "unpacked"


@dataclass(frozen=True)
class PullResult:
    """A run that was trained on Kaggle.

    Attributes:
        run: its folder.
        submission: its submission, or None.
        no_submission_reason: why there is none: other data here, or members missing.
        manifest: the result of the session.
    """

    run: Run
    submission: Path | None
    no_submission_reason: str
    manifest: Manifest


class SessionFailedError(KaggleError):
    """The session trained nothing; the message has the reason and the last lines of its log."""

    def __init__(self, push: PushRecord, reason: str, lines: Sequence[str]) -> None:
        self.reason = one_line(reason) or "no reason given"
        tail = " | ".join(one_line(line) for line in lines[-ERROR_LINES:])
        last_lines = f"; its last lines: {tail}" if tail else ""
        super().__init__(
            f"the notebook {push.ref} failed: {self.reason}{last_lines}; see {push.url}"
        )


def pull(
    push: PushRecord,
    client: NotebookClient,
    *,
    runs_dir: Path,
    submissions_dir: Path,
    data_dir: Path,
) -> PullResult:
    """Download the output of a notebook, validate it, and move it into ``runs_dir``.

    A pull that is killed leaves no partial run; the next one resumes the download.

    Returns:
        The run: finished, or with some of its members (``manifest.state`` partial), which
        ``kd train --resume`` finishes.

    Raises:
        KaggleError: the session has not ended or failed, or its output is not valid.
        RunError, SubmissionError: a run or submission of that name exists.
    """
    submission = submission_path(submissions_dir, push.run)
    with push_record.lock(runs_dir, push.run) as folder:
        run = _run_of_interrupted_pull(push, runs_dir)
        if run is None:
            require_absent(submission, force=False)
        status = get_status(push, client)
        if status.stale:
            raise earlier_version_error(push)
        if not status.ended:
            raise KaggleError(
                f"{push.ref} is {status.state}; wait for it: kd remote status {push.run} --wait"
            )
        downloads = folder / DOWNLOADS
        with wrap_os_errors(downloads):
            downloads.mkdir(exist_ok=True)
        output = client.output(push.ref)
        try:
            manifest = _download_manifest(push, status, client, output, downloads)
        except SessionFailedError as error:
            push_record.write(
                runs_dir, replace(push, state=push_record.FAILED, reason=error.reason)
            )
            raise
        size = manifest.archive.bytes if manifest.archive else 0
        if ARCHIVE not in output.files or size > output_archive.MAX_BYTES:
            raise KaggleError(f"{push.ref} left no {ARCHIVE} of a valid size; look at {push.url}")
        dataset, reason = _load(data_dir)
        if run is None:
            url = output.files[ARCHIVE]
            archive = client.download(ARCHIVE, url, downloads, max_size=size, size=size)
            run = _install(push, manifest, archive, runs_dir, dataset)
        if dataset is not None and not _is_trained_on(run, dataset):
            dataset = None
            reason = (
                f"it was trained on other data than those in {data_dir}; give their folder with "
                f"--data-dir: kd predict {run.name}"
            )
        written = None
        if manifest.state == entry_point.PARTIAL:
            reason = "some members are not trained yet"
        elif dataset is not None:
            written = write_run_submission(run, dataset, submission)
        push_record.write(runs_dir, replace(push, state=push_record.PULLED, reason=manifest.reason))
        shutil.rmtree(downloads, ignore_errors=True)
    return PullResult(run, written, reason, manifest)


def _run_of_interrupted_pull(push: PushRecord, runs_dir: Path) -> Run | None:
    """Return the run if an earlier pull of this push was killed after it had moved the run here.

    Raises:
        RunError: another run of that name exists.
    """
    folder = runs_dir / push.run
    if not folder.is_dir() or all(path.name.startswith(".") for path in folder.iterdir()):
        return None
    with suppress(RunError):
        run = Run(folder)
        remote = run.config().get("remote") or {}
        if push.open and remote.get("push_id") == push.push_id:
            return run
    raise RunError(f"run {push.run} already exists in {runs_dir}; rename it, then pull again")


def _download_manifest(
    push: PushRecord,
    status: PushStatus,
    client: NotebookClient,
    output: NotebookOutput,
    folder: Path,
) -> Manifest:
    """Return the manifest of this push, whose session trained at least one member.

    Raises:
        SessionFailedError: the session failed.
        KaggleError: the output is still that of an earlier version, or damaged.
    """
    result, lines = _parse_log(output.log)
    logged_id = result.get("push_id")
    if logged_id == push.push_id and result.get("state") == entry_point.FAILED:
        reason = str(result.get("reason", "")) or status.failure
        raise SessionFailedError(push, reason, lines)
    default = status.failure or f"its session is {status.state}"
    if MANIFEST not in output.files:
        if logged_id not in (None, push.push_id):
            raise earlier_version_error(push)
        if status.state == COMPLETE and not status.failure:
            default = "it left no output of kd; is it another notebook of that name?"
        raise SessionFailedError(push, default, lines)
    url = output.files[MANIFEST]
    path = client.download(MANIFEST, url, folder, max_size=MAX_MANIFEST_BYTES)
    try:
        manifest = output_archive.read_manifest(path.read_bytes())
    finally:
        path.unlink()
    if (manifest.push_id, manifest.run) == (push.push_id, push.run):
        if manifest.archive is None:
            reason = manifest.reason or status.failure
            raise SessionFailedError(push, reason, manifest.log_tail)
        return manifest
    # If the session failed, its version is the current one, yet the files are an earlier one's.
    failed = status.state != COMPLETE and push.version is not None
    if failed and client.version(push.ref) == push.version:
        raise SessionFailedError(push, default, lines)
    raise earlier_version_error(push)


def _parse_log(log: str) -> tuple[dict[str, Any], list[str]]:
    """Return the result that entry_point logged, or {}, and the other lines of the log.

    Kaggle's log is a JSON list of {stream_name, time, data}, sometimes truncated.
    """
    try:
        text = "".join(str(entry["data"]) for entry in json.loads(log) if isinstance(entry, dict))
    except (ValueError, KeyError, TypeError):
        text = log
    result: dict[str, Any] = {}
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith(LOG_PREFIX):
            lines.append(line)
            continue
        with suppress(ValueError):
            parsed = json.loads(line.removeprefix(LOG_PREFIX))
            result = parsed if isinstance(parsed, dict) else result
    return result, lines


def _install(
    push: PushRecord, manifest: Manifest, archive: Path, runs_dir: Path, dataset: Dataset | None
) -> Run:
    """Unpack and validate the run beside ``runs_dir``'s runs, then rename it into place."""
    staging = push_record.record_dir(runs_dir, push.run) / UNPACKED
    shutil.rmtree(staging, ignore_errors=True)
    run = Run(staging / push.run)
    try:
        try:
            output_archive.unpack(archive, manifest, run.path)
            output_archive.verify(run, manifest)
        except KaggleError:
            archive.unlink(missing_ok=True)  # the next pull downloads it again
            raise
        config = run.config()
        if dataset is not None and _is_trained_on(
            run, dataset
        ):  # the same files, whose source is known here
            config["data"]["source"] = dataset.source.source
        config["remote"] = {
            "ref": push.ref,
            "version": push.version,
            "push_id": push.push_id,
            "accelerator": push.accelerator,
            **manifest.environment,
        }
        run.write_config(config)
        with create_run(runs_dir, push.run, "") as empty, wrap_os_errors(empty.path):
            # create_run holds the name while its empty folder is replaced.
            empty.path.rename(staging / f"empty-{uuid.uuid4().hex[:8]}")
            run.path.rename(runs_dir / push.run)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Run(runs_dir / push.run)


def _load(data_dir: Path) -> tuple[Dataset | None, str]:
    """Return the data in ``data_dir``, or None and the reason."""
    try:
        return load(data_dir), ""
    except DataError as error:
        return None, str(error)


def _is_trained_on(run: Run, dataset: Dataset) -> bool:
    try:
        run.check_data(dataset)
    except RunError:
        return False
    return True
