"""kd remote pull: the run that a notebook left, brought into runs/."""

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
from kaggle_digits.kaggle_notebooks import output_archive, push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.entry_point import ARCHIVE, LOG_PREFIX, MANIFEST, PARTIAL
from kaggle_digits.kaggle_notebooks.entry_point import FAILED as NOTHING
from kaggle_digits.kaggle_notebooks.notebooks import COMPLETE, NotebookOutput
from kaggle_digits.kaggle_notebooks.status import PushStatus, earlier_version_error, get_status
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import create_run
from kaggle_digits.runs.submission_files import move_existing, submission_path, write_run_submission

MOST_MANIFEST_BYTES = 16 << 20
TOLD_LINES = 5
DOWNLOADS, UNPACKED = "downloads", "unpacked"


@dataclass(frozen=True)
class PullResult:
    """A run that came back.

    Attributes:
        run: its folder.
        submission: its submission, or None where the data here are not those it was trained on.
        why_not: why there is none.
        manifest: what the script said.
    """

    run: Run
    submission: Path | None
    why_not: str
    manifest: output_archive.Manifest


class FailedSession(Exception):  # noqa: N818 (a state: callers explain it)
    """The session left no run: why, and its last lines."""

    def __init__(self, reason: str, lines: Sequence[str]) -> None:
        super().__init__(reason)
        self.reason, self.lines = reason, lines


def pull(
    push: push_record.PushRecord,
    kernels: NotebookClient,
    *,
    runs_dir: Path,
    submissions_dir: Path,
    data_dir: Path,
) -> PullResult:
    """Fetch what the notebook left, look at all of it, make a run folder of it.

    A pull that is killed leaves no run; the next one goes on with what was downloaded.

    Returns:
        The run: finished, or with some members only (``manifest.state`` partial), for
        ``kd train --resume`` to finish.

    Raises:
        KaggleError: it is not ended, it failed (with its last words), or what came is not sound.
        RunError, SubmissionError: the name is taken here.
    """
    name = push.run
    with push_record.lock(runs_dir, name) as folder:
        standing_run = _standing_run(push, runs_dir)
        if standing_run is None:
            move_existing(submission_path(submissions_dir, name), force=False)
        now = get_status(push, kernels)
        if now.stale:
            raise earlier_version_error(push)
        if not now.ended:
            raise KaggleError(
                f"{push.ref} is {now.state}; wait for it: kd remote status {name} --wait"
            )
        downloads = folder / DOWNLOADS
        with wrap_os_errors(downloads):
            downloads.mkdir(exist_ok=True)
        output = kernels.output(push.ref)
        try:
            manifest = _manifest(push, now, kernels, output, downloads)
        except FailedSession as error:
            raise _failed(push, runs_dir, error) from None
        assert manifest.archive is not None
        size, _ = manifest.archive
        if ARCHIVE not in output.files or size > output_archive.MOST_BYTES:
            raise KaggleError(f"{push.ref} left no {ARCHIVE} that fits; look at {push.url}")
        if standing_run is None:
            address = output.files[ARCHIVE]
            archive = kernels.download(ARCHIVE, address, downloads, most=size, size=size)
        if standing_run is None:
            run, dataset, why_not = _place(push, manifest, archive, runs_dir, data_dir)
        else:
            run, (dataset, why_not) = standing_run, _same_data(standing_run, data_dir)
        written = None
        if manifest.state == PARTIAL:
            why_not = "some members are not trained yet"
        elif dataset is not None:
            written = write_run_submission(run, dataset, submission_path(submissions_dir, name))
        push_record.write(runs_dir, replace(push, state=push_record.PULLED, reason=manifest.reason))
        shutil.rmtree(downloads, ignore_errors=True)
    return PullResult(run, written, why_not, manifest)


def _standing_run(push: push_record.PushRecord, runs_dir: Path) -> Run | None:
    """The run, where a pull of this very push was killed after it stood and before all was done.

    Raises:
        RunError: another run of that name stands.
    """
    folder = runs_dir / push.run
    if not folder.is_dir() or all(path.name.startswith(".") for path in folder.iterdir()):
        return None
    with suppress(RunError):
        run = Run(folder)
        if push.open and run.config().get("remote", {}).get("push_id") == push.push_id:
            return run
    raise RunError(f"run {push.run} already exists in {runs_dir}; rename it, then pull again")


def _manifest(
    push: push_record.PushRecord,
    now: PushStatus,
    kernels: NotebookClient,
    output: NotebookOutput,
    folder: Path,
) -> output_archive.Manifest:
    """The manifest of this push; an earlier version's says to wait, and none is a failure."""
    told, lines = _told(output.log)
    if told.get("push_id") == push.push_id and told.get("state") == NOTHING:
        raise FailedSession(str(told.get("reason", "")) or now.failure, lines)
    if MANIFEST not in output.files:
        if told.get("push_id", push.push_id) != push.push_id:
            raise earlier_version_error(push)
        nothing = "it left no output of kd; is it another notebook of that name?"
        raise FailedSession(
            now.failure or (nothing if now.state == COMPLETE else f"it was {now.state}"), lines
        )
    path = kernels.download(MANIFEST, output.files[MANIFEST], folder, most=MOST_MANIFEST_BYTES)
    try:
        manifest = output_archive.read_manifest(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise KaggleError(
            "the notebook's manifest is damaged; run it again: kd remote pull; where it stays so, "
            "push it again"
        ) from error
    finally:
        path.unlink()
    if manifest.push_id == push.push_id and manifest.run == push.run:
        if manifest.archive is None:
            raise FailedSession(manifest.reason or now.failure, manifest.log_tail)
        return manifest
    cut_off = now.state != COMPLETE and push.version is not None
    if cut_off and kernels.version(push.ref) == push.version:  # the files are an earlier one's
        raise FailedSession(now.failure or f"it was {now.state}", lines)
    raise earlier_version_error(push)


def _place(
    push: push_record.PushRecord,
    manifest: output_archive.Manifest,
    archive: Path,
    runs_dir: Path,
    data_dir: Path,
) -> tuple[Run, Dataset | None, str]:
    """Unpack beside, look, and put into place by one renaming."""
    beside = push_record.record_dir(runs_dir, push.run) / UNPACKED
    shutil.rmtree(beside, ignore_errors=True)
    found = Run(beside / push.run)
    try:
        try:
            output_archive.unpack(archive, manifest, found.path)
            output_archive.verify(found, manifest)
        except KaggleError:
            archive.unlink(missing_ok=True)  # not worth keeping: the next pull begins anew
            raise
        dataset, why_not = _same_data(found, data_dir)
        config = found.config()
        if dataset is not None:  # the same bytes, of which more is known here
            config["data"]["source"] = dataset.source.source
        config["remote"] = {
            "ref": push.ref,
            "version": push.version,
            "push_id": push.push_id,
            "accelerator": push.accelerator,
            **manifest.about,
        }
        found.write_config(config)
        with create_run(runs_dir, push.run, "") as empty, wrap_os_errors(empty.path):
            # The name is held while the empty folder makes room for the whole one.
            empty.path.rename(beside / f"empty-{uuid.uuid4().hex[:8]}")
            found.path.rename(runs_dir / push.run)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Run(runs_dir / push.run), dataset, why_not


def _same_data(run: Run, data_dir: Path) -> tuple[Dataset | None, str]:
    """The data here if ``run`` was trained on them; else why not."""
    try:
        dataset = load(data_dir)
        run.check_data(dataset)
    except DataError as error:
        return None, str(error)
    except RunError:
        return None, (
            f"it was trained on other data than {data_dir} holds; give theirs by --data-dir: "
            f"kd predict {run.name}"
        )
    return dataset, ""


def _failed(push: push_record.PushRecord, runs_dir: Path, failure: FailedSession) -> KaggleError:
    reason = one_line(failure.reason) or "no reason given"
    push_record.write(runs_dir, replace(push, state=push_record.FAILED, reason=reason))
    tail = " | ".join(one_line(line) for line in failure.lines[-TOLD_LINES:])
    said = f"; its last lines: {tail}" if tail else ""
    return KaggleError(f"the notebook {push.ref} failed: {reason}{said}; see {push.url}")


def _told(log: str) -> tuple[dict[str, Any], list[str]]:
    """What the script said of its end in the log, and the log's lines.

    Kaggle keeps a log as a JSON list of {stream_name, time, data}, sometimes cut off.
    """
    try:
        text = "".join(str(one["data"]) for one in json.loads(log) if isinstance(one, dict))
    except (ValueError, KeyError, TypeError):
        text = log
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told: dict[str, Any] = {}
    for line in lines:
        if line.startswith(LOG_PREFIX):
            try:
                found = json.loads(line.removeprefix(LOG_PREFIX))
            except ValueError:
                continue
            told = found if isinstance(found, dict) else told
    return told, [line for line in lines if not line.startswith(LOG_PREFIX)]
